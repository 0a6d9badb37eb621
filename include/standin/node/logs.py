"""The logs of containers, as the API server asks its nodes for them: GET /containerLogs/{namespace}/{pod}/{container}."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from include.standin.node.api import Json
from include.standin.node.attempt import Attempt

FOLLOW = 0.2
"""Seconds between looks at a log that is followed."""
BLOCK = 262_144
OFF = ("false", "0")
"""Values of a switch that is off; with any other it is on (apimachinery `Convert_Slice_string_To_bool`)."""


def stamp(at: datetime) -> str:
    """A time as the keeper writes it, so that times compare as text."""
    at = at.astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S") + f".{at.microsecond * 1000:09d}Z"


@dataclass(frozen=True)
class Query:
    """PodLogOptions."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since: str = ""
    """A stamp; lines before it are left out."""
    tail: int | None = None
    limit: int | None = None
    """Bytes."""

    @classmethod
    def read(cls, said: "dict[str, str]") -> "Query":
        """Of a request's query; ValueError names the option that is wrong."""
        since = ""
        if text := said.get("sinceTime"):
            since = _since(text)
        elif text := said.get("sinceSeconds"):
            since = stamp(datetime.now(UTC) - timedelta(seconds=_number("sinceSeconds", text)))
        tail, limit = said.get("tailLines"), said.get("limitBytes")
        follow, previous, timestamps = (said.get(name, "false").lower() not in OFF for name in ("follow", "previous", "timestamps"))
        return cls(
            follow,
            previous,
            timestamps,
            since,
            _number("tailLines", tail) if tail else None,
            _number("limitBytes", limit) if limit else None,
        )


def _since(text: str) -> str:
    """RFC 3339 with up to nine digits of a second, which datetime does not read."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", text)
    if not found:
        raise ValueError(f"sinceTime {text!r} is not RFC 3339")
    at = datetime.fromisoformat(found[1] + found[3].upper().replace("Z", "+00:00"))
    return stamp(at)[:20] + (found[2] or "").ljust(9, "0") + "Z"


def _number(name: str, text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"{name} {text!r} is not a whole number")
    return int(text)


class Reader:
    """The log of one attempt, over the change of its file."""

    def __init__(self, attempt: Attempt, query: Query) -> None:
        self.attempt, self.query = attempt, query
        self.path = attempt.path("log")
        self.file: BinaryIO | None = None
        self.rest = b""

    async def blocks(self) -> AsyncIterator[bytes]:
        """What the query asks for; with follow, until the attempt has ended."""
        first = await asyncio.to_thread(self._present)
        if first:
            yield first
        try:
            while self.query.follow:
                ended = not self.attempt.alive()
                if block := self._shown(self._more()):
                    yield block
                elif ended and not self.rest:
                    return
                else:
                    await asyncio.sleep(FOLLOW if not ended else 0)
                if ended and self.rest:
                    self.rest += b"\n"
        finally:
            if self.file:
                self.file.close()

    def _present(self) -> bytes:
        """The lines that are there; the file stays open where they end."""
        content = b""
        older = self.path.with_name(self.path.name + ".1")
        if older.exists():
            content = older.read_bytes()
        if self.path.exists():
            self.file = self.path.open("rb")
            content += self.file.read()
        whole, line_end, self.rest = content.rpartition(b"\n")
        lines = [line for line in (whole + line_end).splitlines(keepends=True) if line[:30].decode(errors="replace") >= self.query.since]
        if self.query.tail is not None:
            lines = lines[-self.query.tail :] if self.query.tail else []
        return b"".join(map(self._line, lines))

    def _more(self) -> Iterator[bytes]:
        """Whole lines that came since."""
        data = self.file.read(BLOCK) if self.file else b""
        if not data and self.path.exists() and (self.file is None or _moved(self.file, self.path)):
            if self.file:
                data = self.file.read()  # written between the read and the change
                self.file.close()
            self.file = self.path.open("rb")
            data += self.file.read(BLOCK)
        whole, line_end, self.rest = (self.rest + data).rpartition(b"\n")
        return iter((whole + line_end).splitlines(keepends=True))

    def _shown(self, lines: Iterator[bytes]) -> bytes:
        return b"".join(self._line(line) for line in lines if line[:30].decode(errors="replace") >= self.query.since)

    def _line(self, line: bytes) -> bytes:
        return line if self.query.timestamps else line.partition(b" ")[2]


def _moved(file: BinaryIO, path: Path) -> bool:
    return os.fstat(file.fileno()).st_ino != path.stat().st_ino


class Logs:
    """The route. `find` gives a pod's manifest and folder by namespace and name, None where this node has none."""

    def __init__(self, find: Callable[[str, str], tuple[Json, Path] | None]) -> None:
        self.find = find

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer with text; 400 and 404 say what is missing as a kubelet does."""
        namespace, pod, container = (request.match_info[name] for name in ("namespace", "pod", "container"))
        found = self.find(namespace, pod)
        if found is None:
            return web.Response(status=404, text=f'pod "{pod}" not found in namespace "{namespace}" on this node')
        manifest, folder = found
        spec = manifest["spec"]
        if container not in [said["name"] for said in (*(spec.get("initContainers") or ()), *spec["containers"])]:
            return web.Response(status=400, text=f"container {container} is not valid for pod {pod}")
        try:
            query = Query.read(dict(request.query))
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        attempt = _attempt(folder / "containers" / container, query.previous)
        if attempt is None:
            if query.previous:
                return web.Response(status=400, text=f'previous terminated container "{container}" in pod "{pod}" not found')
            reason = _waiting(manifest, container)
            return web.Response(status=400, text=f'container "{container}" in pod "{pod}" is waiting to start: {reason}')
        return await _send(request, Reader(attempt, query), query.limit)


def _attempt(folder: Path, previous: bool) -> Attempt | None:
    last = Attempt.last(folder)
    if last is None or not previous:
        return last
    before = Attempt(folder, last.number - 1)
    return before if before.path("lock").exists() else None


def _waiting(manifest: Json, container: str) -> str:
    for status in (manifest.get("status") or {}).get("containerStatuses") or ():
        if status["name"] == container and "waiting" in status["state"]:
            return str(status["state"]["waiting"].get("reason", "ContainerCreating"))
    return "ContainerCreating"


async def _send(request: web.Request, reader: Reader, limit: int | None) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    sent = 0
    async for block in reader.blocks():
        block = block if limit is None else block[: limit - sent]
        sent += len(block)
        await response.write(block)
        if sent == limit:
            break
    await response.write_eof()
    return response
