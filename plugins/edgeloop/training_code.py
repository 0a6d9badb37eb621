"""The code that is sent to Azure ML: what training needs of this checkout, and nothing else."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from include.settings import ROOT

SHARED = ("include/__init__.py", "include/domain", "include/training", "include/workloads/__init__.py")
LEFT_OUT = ("sample", "__pycache__", "data_factory")
"""Folders that no job needs; the sample is large."""


@dataclass(frozen=True)
class TrainingCode:
    """Files by name, relative to the checkout. The same files give the same digest, wherever and whenever."""

    workload: str
    files: dict[str, bytes]

    @classmethod
    def of(cls, workload: str) -> "TrainingCode":
        """The code that trains the workload; FileNotFoundError when there is no such workload."""
        own = ROOT / "include" / "workloads" / workload
        if not (own / "requirements.txt").exists():
            raise FileNotFoundError(f"{own}/requirements.txt is missing: it names the packages that training needs")
        found = [file for part in (*(ROOT / name for name in SHARED), own) for file in _files(part)]
        return cls(workload, {file.relative_to(ROOT).as_posix(): file.read_bytes() for file in sorted(found)})

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over names and contents."""
        total = hashlib.sha256()
        for name, content in self.files.items():
            total.update(f"{name}\0{len(content)}\0".encode() + content)
        return f"sha256:{total.hexdigest()}"

    @property
    def requirements(self) -> tuple[str, ...]:
        """The workload's pinned packages."""
        text = self.files[f"include/workloads/{self.workload}/requirements.txt"].decode()
        return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))

    def write(self, folder: Path) -> Path:
        """Lay the files out in the folder, which is created; gives the folder."""
        for name, content in self.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return folder


def _files(part: Path) -> Iterator[Path]:
    if part.is_file():
        yield part
        return
    for file in part.rglob("*"):
        if file.is_file() and file.suffix != ".pyc" and not set(file.relative_to(part).parts) & set(LEFT_OUT):
            yield file
