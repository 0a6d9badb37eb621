"""Open uploads: files that grow until their digest is known. They survive a restart; a client that was cut asks where it stands."""

import contextlib
import re
import time
import uuid
from collections.abc import AsyncIterable
from hashlib import file_digest
from pathlib import Path

from include.standin.container_registry import exceptions as refuse
from include.standin.container_registry.models import Repository, Store

LARGEST = 4 * 1024 * 1024 * 1024
"""Bytes of one blob."""
KEPT = 24 * 3600
"""Seconds that a forgotten upload is kept."""
ID = re.compile(r"[0-9a-f]{32}")


class Upload:
    """One open upload."""

    def __init__(self, store: Store, number: str) -> None:
        if not ID.fullmatch(number) or not _file(store, number).exists():
            raise refuse.UploadUnknown(f"there is no upload {number[:40]!r}: start it again")
        self.store = store
        self.number = number
        self.file = _file(store, number)

    @classmethod
    def begin(cls, store: Store) -> "Upload":
        """A new one, empty."""
        number = uuid.uuid4().hex
        file = _file(store, number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return cls(store, number)

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.file.stat().st_size

    async def take(self, content_range: str | None, body: AsyncIterable[bytes]) -> None:
        """Add a chunk. What arrived of a chunk that was cut stays, and counts."""
        if content_range:
            first = content_range.removeprefix("bytes ").partition("-")[0]
            if not first.isdigit() or int(first) != self.size:
                raise refuse.RangeNotSatisfiable(f"the upload has {self.size} bytes, the chunk starts at {first[:20]!r}", self.progress())
        with self.file.open("ab", buffering=0) as out:
            async for piece in body:
                if out.tell() + len(piece) > LARGEST:
                    raise refuse.TooLarge(f"a blob over {LARGEST} bytes")
                out.write(piece)

    def finish(self, wanted: str, into: Repository) -> None:
        """Keep what is here as the blob, if it is what its digest says; else the upload is thrown away."""
        target = self.store.content(wanted)
        with self.file.open("rb") as whole:
            found = "sha256:" + file_digest(whole, "sha256").hexdigest()
        if found != wanted:
            self.file.unlink()
            raise refuse.DigestInvalid(f"the upload is {found}, not {wanted}: it was thrown away")
        target.parent.mkdir(parents=True, exist_ok=True)
        self.file.replace(target)
        into.link(wanted)

    def progress(self) -> dict[str, str]:
        """The Range header: `0-<last byte>`."""
        return {"Range": f"0-{max(self.size - 1, 0)}", "Docker-Upload-UUID": self.number}

    def drop(self) -> None:
        """Forget it."""
        self.file.unlink(missing_ok=True)


def tidy(store: Store) -> None:
    """Remove uploads that nobody went on with."""
    folder = store.root / "uploads"
    for file in folder.iterdir() if folder.exists() else ():
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime < time.time() - KEPT:
                file.unlink()


def _file(store: Store, number: str) -> Path:
    return store.root / "uploads" / number
