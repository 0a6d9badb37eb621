"""Objects with a revision each, a journal for watches, and one SQLite file behind.

A change is on disk before anyone sees it, so neither SIGTERM nor kill -9 takes one back.
"""

import asyncio
import collections
import copy
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.standin.kubernetes.exceptions import AlreadyExists, Conflict, Expired, InternalError, NotFound
from include.standin.kubernetes.kinds import BY_PATH, Kind

JOURNAL = 20_000
"""Events that a watch can go back."""
LEAP = 1000
"""Added to the revision at each start: what the disk may have lost to a power cut is never given out twice."""
HEARTBEAT = 10.0
"""Seconds after which a watch without events looks up."""
SCHEMA = """
pragma journal_mode = wal;
pragma synchronous = normal;
create table if not exists objects (api_version text, plural text, namespace text, name text, object text,
    primary key (api_version, plural, namespace, name));
create table if not exists revision (one integer primary key check (one = 1), revision integer);
"""

Object = dict[str, Any]


@dataclass(frozen=True)
class Key:
    """Where an object is: its kind, namespace (empty for cluster-wide kinds) and name."""

    kind: Kind
    namespace: str
    name: str


@dataclass(frozen=True)
class Event:
    """A change: `ADDED`, `MODIFIED` or `DELETED`, the object after it (or at its end) and before it."""

    revision: int
    key: Key
    type: str
    object: Object
    before: Object | None


def key_of(kind: Kind, object_: Object) -> Key:
    """The key of an object that is stored."""
    return Key(kind, object_["metadata"].get("namespace", "") if kind.namespaced else "", object_["metadata"]["name"])


class Store:
    """All objects of one site. Objects that `peek`, `all` and `events` give are shared: read them, never write."""

    def __init__(self, file: Path) -> None:
        self.database = sqlite3.connect(file, isolation_level=None, timeout=5, check_same_thread=False)
        self.database.executescript(SCHEMA)
        self._objects: dict[Kind, dict[Key, Object]] = {}
        for api_version, plural, namespace, name, said in self.database.execute("select * from objects"):
            kind = BY_PATH[api_version, plural]
            self._objects.setdefault(kind, {})[Key(kind, namespace, name)] = json.loads(said)
        row = self.database.execute("select revision from revision").fetchone()
        self.revision: int = (row[0] if row else 0) + LEAP
        self.database.execute("insert or replace into revision values (1, ?)", (self.revision,))
        self.oldest = self.revision
        self._journal: collections.deque[Event] = collections.deque(maxlen=JOURNAL)
        self.changed = asyncio.Event()

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def get(self, key: Key) -> Object:
        """A copy of the object; NotFound when there is none."""
        return copy.deepcopy(self.peek(key))

    def peek(self, key: Key) -> Object:
        """The object itself, to read; NotFound when there is none."""
        found = self._objects.get(key.kind, {}).get(key)
        if found is None:
            raise NotFound(key.kind, key.name)
        return found

    def has(self, key: Key) -> bool:
        """Whether there is such an object."""
        return key in self._objects.get(key.kind, {})

    def all(self, kind: Kind, namespace: str = "") -> list[Object]:
        """Objects of the kind by namespace and name; of every namespace when none is given."""
        found = self._objects.get(kind, {})
        return [found[key] for key in sorted(found, key=lambda key: (key.namespace, key.name)) if namespace in ("", key.namespace)]

    def create(self, kind: Kind, object_: Object) -> Object:
        """Store a new object and give a copy of it; AlreadyExists when the name is taken."""
        key = key_of(kind, object_)
        if self.has(key):
            raise AlreadyExists(kind, key.name)
        return self._write("ADDED", key, object_, None)

    def update(self, kind: Kind, object_: Object) -> Object:
        """Replace an object and give a copy of it; Conflict when its resourceVersion is not the stored one.

        Without a change nothing is written. An object whose deletion waits for finalizers goes with the last of them.
        """
        key = key_of(kind, object_)
        before = self.peek(key)
        meta = object_["metadata"]
        if meta.get("resourceVersion", before["metadata"]["resourceVersion"]) != before["metadata"]["resourceVersion"]:
            raise Conflict(kind, key.name)
        meta["resourceVersion"] = before["metadata"]["resourceVersion"]
        if object_ == before:
            return object_
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and before["metadata"].get("finalizers"):
            return self._write("DELETED", key, object_, before)
        return self._write("MODIFIED", key, object_, before)

    def delete(self, key: Key) -> Object:
        """Remove the object and give it as it was last."""
        before = self.peek(key)
        return self._write("DELETED", key, before, before)

    def _write(self, type_: str, key: Key, object_: Object, before: Object | None) -> Object:
        revision = self.revision + 1
        stored = {**object_, "metadata": {**object_["metadata"], "resourceVersion": str(revision)}}
        stored = json.loads(text := json.dumps(stored))
        self._persist(type_, key, text, revision)
        kept = self._objects.setdefault(key.kind, {})
        if type_ == "DELETED":
            kept.pop(key)
        else:
            kept[key] = stored
        self.revision = revision
        if len(self._journal) == JOURNAL:
            self.oldest = self._journal[0].revision
        self._journal.append(Event(revision, key, type_, stored, before))
        woken, self.changed = self.changed, asyncio.Event()
        woken.set()
        return copy.deepcopy(stored)

    def _persist(self, type_: str, key: Key, text: str, revision: int) -> None:
        where = (key.kind.api_version, key.kind.plural, key.namespace, key.name)
        try:
            with self.database:
                self.database.execute("begin immediate")
                if type_ == "DELETED":
                    self.database.execute("delete from objects where (api_version, plural, namespace, name) = (?, ?, ?, ?)", where)
                else:
                    self.database.execute("insert or replace into objects values (?, ?, ?, ?, ?)", (*where, text))
                self.database.execute("insert or replace into revision values (1, ?)", (revision,))
        except sqlite3.Error as error:
            raise InternalError(f"{key.kind.plural} {key.name!r} cannot be stored: {error}") from error

    async def events(self, kind: Kind, namespace: str, since: int, seconds: float) -> AsyncIterator[Event | None]:
        """Changes of the kind after the revision, None as a heartbeat, for so many seconds.

        Expired when the journal does not reach back, or the revision is of the future.
        """
        end = asyncio.get_running_loop().time() + seconds
        while True:
            if since < self.oldest:
                raise Expired(since, self.oldest)
            changed = self.changed
            for event in self._newer(since):
                since = event.revision
                if event.key.kind is kind and namespace in ("", event.key.namespace):
                    yield event
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return
            if changed is self.changed:
                try:
                    await asyncio.wait_for(changed.wait(), min(left, HEARTBEAT))
                except TimeoutError:
                    yield None

    def _newer(self, since: int) -> list[Event]:
        """The journal's end after the revision, found from behind: it is short for a watch that keeps up."""
        found: list[Event] = []
        for event in reversed(self._journal):
            if event.revision <= since:
                break
            found.append(event)
        return found[::-1]
