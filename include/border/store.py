"""Compliant storage: immutable files, and a log of commits that says which of them count.

`_log/<sequence>.json` is created with `If-None-Match: *`, so a sequence number is taken once: whoever comes second reads the log again.
Nothing is ever changed or deleted, so a container with an immutability policy (WORM) will do. A file that no commit names does not count.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient, ContentSettings

from include.domain import naming

STAGE = "insights"
PARALLEL = 8
"""Commits that are read at once."""
JSON = ContentSettings(content_type="application/json")


class StoreError(RuntimeError):
    """A log that is not as this program writes it."""


@dataclass(frozen=True)
class File:
    """A Parquet file in the container: its blob's name and how many rows it has."""

    name: str
    rows: int


@dataclass(frozen=True)
class Commit:
    """What one drain settled at once."""

    drain: str
    """Names the attempt: whoever lost the answer to its own write knows it again."""
    files: tuple[File, ...]
    ids: tuple[str, ...]
    """Events that are settled for good: stored, or refused by the policy."""
    refused: Mapping[str, int]
    poisoned: Mapping[str, str]
    """Events that went to the poison queue: the event's key, and the code of the reason."""
    policy: str
    sequence: int = -1

    def to_json(self) -> bytes:
        """As it lies in the log."""
        said = {
            "drain": self.drain,
            "files": [{"name": file.name, "rows": file.rows} for file in self.files],
            "ids": self.ids,
            "refused": self.refused,
            "poisoned": self.poisoned,
            "policy": self.policy,
        }
        return json.dumps(said, separators=(",", ":")).encode()

    @classmethod
    def read(cls, sequence: int, text: bytes) -> "Commit":
        """What `to_json` wrote; StoreError when it is something else."""
        try:
            said = json.loads(text)
            files = tuple(File(file["name"], file["rows"]) for file in said["files"])
            return cls(said["drain"], files, tuple(said["ids"]), said["refused"], said["poisoned"], said["policy"], sequence)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"commit {sequence} of the log cannot be read ({error!r}): another program wrote it") from error


def _root(workload: str, site: str) -> str:
    return f"{workload}/{STAGE}/site={site}"


def _commit_name(workload: str, site: str, sequence: int) -> str:
    return f"{_root(workload, site)}/_log/{sequence:020d}.json"


def committed(container: ContainerClient, workload: str, site: str, after: int = -1) -> Iterator[Commit]:
    """The commits of a site behind sequence number `after`, in their order. What a reader of the container counts is in their `files`."""
    yield from _read_many(container, workload, site, [sequence for sequence, _ in _listed(container, workload, site) if sequence > after])


def _listed(container: ContainerClient, workload: str, site: str) -> list[tuple[int, datetime]]:
    """Sequence numbers and when each was written, in order. Old ones may have passed their retention; a gap is a StoreError."""
    found = []
    for blob in container.list_blobs(name_starts_with=f"{_root(workload, site)}/_log/"):
        number = re.search(r"/(\d{20})\.json$", blob.name)
        if not number:
            raise StoreError(f"{blob.name} is no commit: another program wrote into the log")
        found.append((int(number[1]), blob.last_modified))
    found.sort()
    if found and [sequence for sequence, _ in found] != list(range(found[0][0], found[0][0] + len(found))):
        raise StoreError(f"the log of {_root(workload, site)} has a gap: commits were deleted, and with them the proof of what is stored")
    return found


def _read_many(container: ContainerClient, workload: str, site: str, sequences: Sequence[int]) -> Iterator[Commit]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        yield from pool.map(lambda sequence: _read(container, workload, site, sequence), sequences)


def _read(container: ContainerClient, workload: str, site: str, sequence: int) -> Commit:
    return Commit.read(sequence, container.download_blob(_commit_name(workload, site, sequence)).readall())


@dataclass
class Log:
    """The log of one site, read as far back as it is needed, and forward as others write it."""

    container: ContainerClient
    workload: str
    site: str
    settled: set[str] = field(default_factory=set)
    """Ids of events that are stored or refused, as far back as the log was read."""
    poisoned: set[str] = field(default_factory=set)
    """Keys of events that lie, or lay, in the poison queue."""
    _older: list[tuple[int, datetime]] = field(default_factory=list)
    """Commits that were not read yet, oldest first."""
    _next: int = 0

    @classmethod
    def open(cls, container: ContainerClient, workload: str, site: str) -> "Log":
        """List the log; commits are read by `read_back_to` and `catch_up`."""
        listed = _listed(container, workload, site)
        return cls(container, workload, site, _older=listed, _next=listed[-1][0] + 1 if listed else 0)

    @property
    def next(self) -> int:
        """The sequence number of the next commit, as far as is known here."""
        return self._next

    def read_back_to(self, moment: datetime) -> None:
        """Know the ids of all commits from `moment` on: an event that was made then cannot have been settled before."""
        needed = [sequence for sequence, written in self._older if written >= moment]
        for commit in _read_many(self.container, self.workload, self.site, needed):
            self._take(commit)
        self._older = [commit for commit in self._older if commit[1] < moment]

    def catch_up(self) -> None:
        """Read what others have committed since."""
        while True:
            try:
                self._take(_read(self.container, self.workload, self.site, self._next))
            except ResourceNotFoundError:
                return
            self._next += 1

    def append(self, commit: Commit) -> bool:
        """Take the next sequence number; False when another drain was first (then `catch_up`, and look again at what is still new)."""
        name = _commit_name(self.workload, self.site, self._next)
        try:
            self.container.upload_blob(name, commit.to_json(), overwrite=False, content_settings=JSON)
        except ResourceExistsError:
            if _read(self.container, self.workload, self.site, self._next).drain != commit.drain:
                return False  # else: ours, and only the answer to it was lost
        self._take(commit)
        self._next += 1
        return True

    def _take(self, commit: Commit) -> None:
        self.settled.update(commit.ids)
        self.poisoned.update(commit.poisoned)


def write_file(container: ContainerClient, workload: str, site: str, day: date, name: str, data: bytes) -> str:
    """Create a Parquet file under a name that nobody else uses; gives the blob's name."""
    blob = naming.partition(workload, STAGE, site, day, f"{name}.parquet")
    settings = ContentSettings(content_type="application/vnd.apache.parquet")
    try:
        container.upload_blob(blob, data, overwrite=False, content_settings=settings)
    except ResourceExistsError:
        return blob  # the name is a fresh UUID: it is ours, and only the answer to the first try was lost
    return blob
