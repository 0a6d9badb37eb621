"""Absolute paths of a container, mapped to folders of this machine."""

import re
from dataclasses import dataclass
from pathlib import Path

ABSOLUTE = re.compile(r"(?<![\w./\-])/[\w.+@=\-]+(?:/[\w.+@=\-]+)*/?")


@dataclass(frozen=True)
class Mount:
    """A volume in a container."""

    path: str
    folder: Path


@dataclass(frozen=True)
class Paths:
    """What stands for a container's file system: its mounts, then its image's root."""

    root: Path
    mounts: tuple[Mount, ...] = ()

    def one(self, path: str) -> str:
        """The place of a path; the path itself where neither a mount nor the image has it."""
        for mount in sorted(self.mounts, key=lambda m: len(m.path), reverse=True):
            if path == mount.path or path.startswith(mount.path.rstrip("/") + "/"):
                return str(mount.folder) + path[len(mount.path.rstrip("/")) :]
        if path.startswith("/") and path.strip("/") and (self.root / path.lstrip("/")).exists():
            return f"{self.root}{path}"
        return path

    def value(self, value: str) -> str:
        """A value of the environment: a path, or paths joined by colons as in PYTHONPATH."""
        return ":".join(self.one(part) if part.startswith("/") else part for part in value.split(":"))

    def argument(self, text: str) -> str:
        """An argument, which may hold paths anywhere, as scripts do."""
        return ABSOLUTE.sub(lambda found: self.one(found.group()), text)
