"""Environments: what Azure ML builds as an image is a virtual environment here, named by the hash of its requirements.

`python -m include.standin.machine_learning.environments [requirements.txt ...]` builds ahead of time, by default those of all workloads.
"""

import fcntl
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from include.standin.machine_learning.exceptions import EnvironmentNotBuilt

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[3]
BUILD_SECONDS = 900
"""A build that takes longer has lost its package index."""


def folder() -> Path:
    """Where environments are kept: `EDGELOOP_ENVIRONMENTS`, by default `.environments` in the checkout."""
    return Path(os.environ.get("EDGELOOP_ENVIRONMENTS") or ROOT / ".environments")


@dataclass(frozen=True)
class Requirements:
    """Pinned packages. Order, comments and white space make no difference."""

    lines: tuple[str, ...]

    @classmethod
    def of_text(cls, text: str) -> "Requirements":
        """From a requirements.txt."""
        plain = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
        return cls(tuple(sorted({line for line in plain if line})))

    @classmethod
    def of_conda(cls, conda_file: str) -> "Requirements":
        """From a conda file: `python=x.y`, `pip` and a list of pip requirements. Other conda packages cannot be had here."""
        try:
            said = yaml.safe_load(conda_file)
            dependencies = said.get("dependencies") or []
        except (yaml.YAMLError, AttributeError) as error:
            raise EnvironmentNotBuilt(f"its conda file cannot be read: {error}") from error
        found: list[str] = []
        for dependency in dependencies:
            found += _pip_lines(dependency)
        return cls.of_text("\n".join(found))

    @property
    def digest(self) -> str:
        """Hex SHA-256: the name of the environment's folder."""
        return hashlib.sha256("\n".join((_python(), *self.lines)).encode()).hexdigest()


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _pip_lines(dependency: Any) -> list[str]:
    if isinstance(dependency, dict):
        return [str(line) for line in dependency.get("pip") or []]
    name, _, version = str(dependency).partition("=")
    if name == "python" and version.strip("=") not in ("", _python()):
        raise EnvironmentNotBuilt(f"it asks for Python {version.strip('=')}; this machine has {_python()}")
    if name not in ("python", "pip"):
        raise EnvironmentNotBuilt(f"it asks for the conda package {dependency!r}; only pip packages can be had here")
    return []


def build(wanted: Requirements) -> Path:
    """The environment's folder, built if it is not there yet; EnvironmentNotBuilt gives the installer's reason.

    It is built aside and renamed: a folder that is there is whole. Two builders of the same environment wait for each other.
    """
    target = folder() / wanted.digest
    if target.is_dir():
        return target
    with _locked(target):
        if not target.is_dir():
            _build_aside(wanted, target)
    return target


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_aside(wanted: Requirements, target: Path) -> None:
    aside = target.with_suffix(".building")
    shutil.rmtree(aside, ignore_errors=True)  # of a build that was killed
    _uv("venv", "--relocatable", "--python", sys.executable, str(aside))
    (aside / "requirements.txt").write_text("".join(f"{line}\n" for line in wanted.lines), encoding="utf-8")
    if wanted.lines:
        _uv("pip", "install", "--compile-bytecode", "--python", str(aside / "bin" / "python"), "-r", str(aside / "requirements.txt"))
    aside.rename(target)


def _uv(*arguments: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    program = str(beside) if beside.exists() else shutil.which("uv")
    if not program:
        raise EnvironmentNotBuilt("the program 'uv' is not installed: run `make install`")
    try:
        done = subprocess.run([program, "--quiet", *arguments], capture_output=True, text=True, timeout=BUILD_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise EnvironmentNotBuilt(f"uv {arguments[0]} took longer than {BUILD_SECONDS} s") from error
    if done.returncode:
        raise EnvironmentNotBuilt(f"uv {arguments[0]} failed: {done.stderr.strip()[-2000:]}")


def main(arguments: list[str]) -> int:
    """Build the environments of the files named, or of all workloads."""
    files = [Path(argument) for argument in arguments] or sorted((ROOT / "include" / "workloads").glob("*/requirements.txt"))
    for file in files:
        print(file, "->", build(Requirements.of_text(file.read_text(encoding="utf-8"))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
