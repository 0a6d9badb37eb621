"""The outbox: events that were answered for and have not reached the queue, in one SQLite file.

Events are numbered without gaps, so two watermarks are the whole state: up to `sending` they lie in a message that may be on its way,
up to `shipped` they are in the queue. A message that a crash left on its way is cut again from the same rows: the same bytes, the same ids.

WAL with synchronous=FULL: a commit is an fsync. With NORMAL a power cut at the site could lose events whose answers people have seen.
"""

import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from io import FileIO
from pathlib import Path

from include.domain.events import LARGEST_BATCH, pack

KEPT_EVENTS = 50_000
"""Events that stay after they are shipped: people answer to them."""
KEPT_REQUESTS = 500
MOST_FILES = 64
PAGE = 4096

_SCHEMA = """
create table if not exists events(seq integer primary key autoincrement, id text not null, body blob not null);
create index if not exists events_by_id on events(id);
create table if not exists requests(seq integer primary key autoincrement, body blob not null);
create table if not exists state(one integer primary key check (one = 1), sending integer not null, shipped integer not null);
insert or ignore into state values(1, 0, 0);
"""


class OutboxError(RuntimeError):
    """The outbox cannot take or give events: its disk is full or broken, or its file is taken."""


@dataclass(frozen=True)
class Counts:
    """Events, since the file was made."""

    recorded: int
    shipped: int

    @property
    def pending(self) -> int:
        """Recorded and not known to be in the queue."""
        return self.recorded - self.shipped

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.recorded + other.recorded, self.shipped + other.shipped)


@dataclass(frozen=True)
class Entry:
    """What one request leaves: events as (id, JSON), and the request itself for the ring of recorded ones."""

    events: Sequence[tuple[str, bytes]]
    request: bytes | None = None


class Outbox:
    """One file, held by a lock for as long as this object is open. Methods may be called from any thread."""

    def __init__(self, path: Path, largest: int) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._held = _hold(path)
        try:
            self._db = _open(path, largest)
        except sqlite3.Error as error:
            self._held.close()
            raise OutboxError(f"the outbox {path} cannot be opened: {error}") from error

    def write(self, entries: Sequence[Entry]) -> None:
        """Commit all entries, or none: OutboxError when the disk does not take them."""
        with self._lock:
            try:
                self._insert(entries)
            except sqlite3.Error:
                self._retry(entries)

    def _retry(self, entries: Sequence[Entry]) -> None:
        """Once more, in the room of what is shipped and kept only for answers."""
        try:
            with self._db:
                self._db.execute("delete from events where seq <= (select shipped from state)")
            self._insert(entries)
        except sqlite3.Error as error:
            raise OutboxError(f"the outbox {self.path} takes no events: {error}") from error

    def _insert(self, entries: Sequence[Entry]) -> None:
        with self._db:  # one transaction
            self._db.execute("begin immediate")
            self._db.executemany("insert into events(id, body) values(?, ?)", [event for entry in entries for event in entry.events])
            requests = [(entry.request,) for entry in entries if entry.request is not None]
            if requests:
                self._db.executemany("insert into requests(body) values(?)", requests)
                self._db.execute("delete from requests where seq <= (select max(seq) from requests) - ?", (KEPT_REQUESTS,))

    def next_message(self) -> list[bytes]:
        """The events of the message to be sent now, none when all are shipped. The cut is committed before anything is sent."""
        with self._lock, _as_outbox_error(self.path), self._db:
            sending, shipped = self._db.execute("select sending, shipped from state").fetchone()
            if sending > shipped:
                return self._bodies(shipped, sending)
            bodies = self._bodies(shipped, shipped + LARGEST_BATCH)
            first = list(next(pack(bodies), ()))
            if first:
                self._db.execute("update state set sending = ?", (shipped + len(first),))
            return first

    def _bodies(self, after: int, last: int) -> list[bytes]:
        rows = self._db.execute("select body from events where seq > ? and seq <= ? order by seq", (after, last))
        return [body for (body,) in rows]

    def mark_shipped(self) -> None:
        """The message that `next_message` gave is in the queue."""
        with self._lock, _as_outbox_error(self.path), self._db:
            self._db.execute("update state set shipped = sending")
            self._db.execute("delete from events where seq <= (select shipped from state) - ?", (KEPT_EVENTS,))

    def counts(self) -> Counts:
        """How many events were recorded and shipped."""
        with self._lock, _as_outbox_error(self.path):
            (recorded,) = self._db.execute("select coalesce(max(seq), 0) from sqlite_sequence where name = 'events'").fetchone()
            (shipped,) = self._db.execute("select shipped from state").fetchone()
        return Counts(recorded, shipped)

    def requests(self, limit: int) -> list[bytes]:
        """The last recorded requests, oldest first, as JSON."""
        with self._lock, _as_outbox_error(self.path):
            rows = self._db.execute("select body from requests order by seq desc limit ?", (limit,)).fetchall()
        return [body for (body,) in reversed(rows)]

    def find(self, event_id: str) -> bytes | None:
        """An event that is still kept, as JSON."""
        with self._lock, _as_outbox_error(self.path):
            found = self._db.execute("select body from events where id = ?", (event_id,)).fetchone()
        return found[0] if found else None

    def close(self) -> None:
        """Give the file up for others."""
        with self._lock:
            self._db.close()
            self._held.close()


@contextmanager
def _as_outbox_error(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OutboxError(f"the outbox {path} cannot be read or written: {error}") from error


def _hold(path: Path) -> FileIO:
    """A lock that ends with the process, however it ends. OutboxError: another process holds it."""
    held = FileIO(f"{path}.lock", "a")
    try:
        flock(held, LOCK_EX | LOCK_NB)
    except OSError as error:
        held.close()
        raise OutboxError(f"the outbox {path} belongs to another process that is alive") from error
    return held


def _open(path: Path, largest: int) -> sqlite3.Connection:
    try:
        return _connect(path, largest)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        _set_aside(path)
        return _connect(path, largest)


def _connect(path: Path, largest: int) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=5, check_same_thread=False)
    try:
        db.executescript(f"pragma journal_mode=wal; pragma synchronous=full; pragma max_page_count={max(largest // PAGE, 16)};" + _SCHEMA)
        if db.execute("pragma quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError(f"{path} is damaged")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> None:
    """A damaged file must not stop the scoring; it is kept for whoever can read it."""
    for suffix in ("", "-wal", "-shm"):
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{path}.damaged-{int(time.time())}{suffix}")


def take(path: Path, largest: int) -> Outbox:
    """The first free outbox of `path`, `path.1`, `path.2`, ...; OutboxError when 64 are taken or the folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for name in (path, *(Path(f"{path}.{n}") for n in range(1, MOST_FILES))):
            try:
                return Outbox(name, largest)
            except OutboxError as error:
                if isinstance(error.__cause__, sqlite3.Error):
                    raise
    except OSError as error:
        raise OutboxError(f"the folder of the outbox {path} cannot be written: {error}") from error
    raise OutboxError(f"{MOST_FILES} processes hold outboxes beside {path}")


def siblings(path: Path) -> Iterator[Path]:
    """Outbox files of the same name in the folder, taken or not."""
    for found in sorted(path.parent.glob(f"{path.name}*")):
        if re.fullmatch(r"(\.\d+)?", found.name.removeprefix(path.name)):
            yield found
