"""Watches: changes as lines of JSON."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from include.standin.kubernetes.exceptions import ApiError, BadRequest
from include.standin.kubernetes.responses.calls import Call
from include.standin.kubernetes.store import Event, Object, Store
from include.standin.kubernetes.tables import table

LONGEST = 1800.0
"""Seconds of a watch that does not say how long."""
Test = Callable[[Object], bool]


def revision(call: Call) -> int:
    """The revision that is asked for, 0 for none; BadRequest for what is no number."""
    said = call.query.get("resourceVersion") or "0"
    if not said.isdigit():
        raise BadRequest(f'resourceVersion: Invalid value: "{said}": strconv.ParseUint: parsing "{said}": invalid syntax')
    return int(said)


def duration(call: Call) -> float:
    """Seconds that the watch lasts; BadRequest for what is no number."""
    said = call.query.get("timeoutSeconds") or ""
    if said and not said.isdigit():
        raise BadRequest(f'timeoutSeconds: Invalid value: "{said}": it is a number of seconds')
    return min(float(said), 24 * 3600) if said and said != "0" else LONGEST


async def stream(store: Store, call: Call, matches: Test) -> AsyncIterator[str]:
    """The lines of a watch: what is there (when asked for), then each change until time is up.

    An object that no longer matches the selector is DELETED to this watcher. A revision that the journal does not reach: ERROR 410.
    """
    since, initial = revision(call), call.says("sendInitialEvents")
    lines = _Lines(store, call)
    if since == 0 or initial:
        since = store.revision
        for found in [one for one in store.all(call.kind, call.namespace) if matches(one)]:
            yield lines.line("ADDED", found)
        if initial:
            yield lines.bookmark(since, {"k8s.io/initial-events-end": "true"})
    seconds = duration(call)
    try:
        async for event in store.events(call.kind, call.namespace, since, seconds):
            if event is None:
                if call.says("allowWatchBookmarks"):
                    yield lines.bookmark(store.revision, {})
            elif type_ := _seen(event, matches):
                yield lines.line(type_, event.object)
    except ApiError as error:
        yield json.dumps({"type": "ERROR", "object": error.status()}) + "\n"


def _seen(event: Event, matches: Test) -> str:
    """The event as the watcher sees it through its selector; empty: not at all."""
    was = event.before is not None and matches(event.before)
    matching = event.type != "DELETED" and matches(event.object)
    if matching:
        return "MODIFIED" if was else "ADDED"
    return "DELETED" if was else ""


class _Lines:
    """Writes lines in the form that was asked for."""

    def __init__(self, store: Store, call: Call) -> None:
        self.store = store
        self.call = call
        self.heads = True

    def line(self, type_: str, found: Object) -> str:
        """An object, or its row of the table; the first row comes with the columns' names."""
        said: Any = found
        if self.call.accepts_table:
            whole = self.call.query.get("includeObject") == "Object"
            said = table(self.call.kind, [found], self.store.revision, whole, self.heads)
            self.heads = False
        return json.dumps({"type": type_, "object": said}) + "\n"

    def bookmark(self, at: int, annotations: dict[str, str]) -> str:
        """A line that only tells a revision."""
        meta: dict[str, Any] = {"resourceVersion": str(at), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        said: Object = {"kind": self.call.kind.kind, "apiVersion": self.call.kind.api_version, "metadata": meta}
        if self.call.accepts_table:
            said = table(self.call.kind, [], at, heads=False) | {"metadata": meta}
        return json.dumps({"type": "BOOKMARK", "object": said}) + "\n"
