"""What the workspace keeps: versioned assets, as JSON files (jobs: `job.py`).

A file is replaced as a whole: a crash leaves the old one or the new one.
"""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.standin.machine_learning.exceptions import BadRequest, Conflict, NotFound

Document = dict[str, Any]
"""A resource as Azure Resource Manager writes it."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
"""Names and versions of assets. (Azure ML's rule; it also keeps names inside their folder.)"""


def now() -> str:
    """The time, as the service writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read(path: Path) -> Document | None:
    """A JSON file, or None when it is not there."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def write(path: Path, document: Document) -> None:
    """Replace the file as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.tmp")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


class Assets:
    """Code, environments and models: documents by kind, name and version."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, kind: str, name: str, version: str, document: Document) -> bool:
        """Keep a version; gives whether it is new. A version that is there does not change what it points at."""
        path = self._path(kind, name, version)
        before = read(path)
        if before and _points_at(before) != _points_at(document):
            raise Conflict(f"{kind} {name}:{version} exists and points elsewhere: assets are immutable, take another version")
        write(path, document)
        return before is None

    def get(self, kind: str, name: str, version: str) -> Document:
        """One version."""
        found = read(self._path(kind, name, version))
        if found is None:
            raise NotFound(f"there is no {kind.rstrip('s')} {name}:{version} in this workspace")
        return found

    def versions(self, kind: str, name: str) -> list[Document]:
        """All versions of a name, newest first."""
        checked(NAME, name)
        return list(_documents(self._folder / kind / name))

    def names(self, kind: str) -> list[str]:
        """Every name of the kind."""
        return sorted(path.name for path in (self._folder / kind).glob("*"))

    def code_of(self, content_hash: str) -> list[Document]:
        """Uploaded code with this content, whatever its name: each client invents one."""
        return [
            document
            for name in self.names("codes")
            for document in self.versions("codes", name)
            if document["properties"].get("properties", {}).get("hash_sha256") == content_hash
        ]

    def _path(self, kind: str, name: str, version: str) -> Path:
        return self._folder / kind / checked(NAME, name) / f"{checked(NAME, version)}.json"


def checked(rule: re.Pattern[str], name: str) -> str:
    """The name, or BadRequest."""
    if not rule.fullmatch(name):
        raise BadRequest(f"{name!r} is not a name: letters, digits, '-', '_' and '.', at most 255")
    return name


def _points_at(document: Document) -> list[Any]:
    properties = document["properties"]
    return [properties.get(key) for key in ("codeUri", "modelUri", "image", "condaFile")]


def _documents(folder: Path) -> Iterator[Document]:
    for path in sorted(folder.glob("[!.]*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        document = read(path)
        if document:
            yield document
