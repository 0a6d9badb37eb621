"""Misbehaviour on request: throttling, server errors, delays, expired tokens, cut links. Routes under `/_faults`."""

import asyncio
import re
from dataclasses import asdict, dataclass, field, fields
from threading import Lock
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

EXPIRED_TOKEN = "edgeloop.expired_token"  # noqa: S105 - a key of the ASGI scope
LONGEST_DELAY = 60.0
"""Seconds; a fault is not a way to hang a program for good."""
OWN_ROUTES = ("/_health", "/_faults")


@dataclass
class Fault:
    """What happens to the next `count` requests that match. Without `status` and `drop` the request goes on after the delay."""

    path: str
    """Regular expression, searched for in the path."""
    method: str | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    delay: float = 0.0
    """Seconds."""
    drop: bool = False
    """Cut the connection without an answer."""
    expired_token: bool = False
    """At a token endpoint: the token that is issued is over already."""
    count: int = 1

    def __post_init__(self) -> None:
        re.compile(self.path)
        if not 0 <= self.delay <= LONGEST_DELAY:
            raise ValueError(f"delay {self.delay} is not between 0 and {LONGEST_DELAY} seconds")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status {self.status} is not an HTTP status")

    @classmethod
    def parse(cls, said: Any) -> "Fault":
        """A fault from JSON; ValueError says what is wrong."""
        if not isinstance(said, dict) or "path" not in said:
            raise ValueError("a fault is an object with at least 'path'")
        unknown = said.keys() - {one.name for one in fields(cls)}
        if unknown:
            raise ValueError(f"a fault has no {sorted(unknown)[0]!r}")
        try:
            return cls(**said)
        except (re.error, TypeError) as error:
            raise ValueError(f"not a fault: {error}") from error

    def matches(self, method: str, path: str) -> bool:
        """Whether it is meant for this request."""
        return (self.method is None or self.method.upper() == method) and re.search(self.path, path) is not None


class Faults:
    """The faults that a program still has to commit."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []
        self._lock = Lock()

    def add(self, said: Any) -> None:
        """Add one fault, or a list of them; ValueError when one is none."""
        found = [Fault.parse(one) for one in (said if isinstance(said, list) else [said])]
        with self._lock:
            self._pending += found

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._pending.clear()

    def pending(self) -> list[dict[str, Any]]:
        """What is still to come."""
        return [asdict(fault) for fault in self._pending]

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this request, used up by one; the program's own routes have none."""
        if path.startswith(OWN_ROUTES):
            return None
        with self._lock:
            for fault in self._pending:
                if fault.matches(method, path):
                    fault.count -= 1
                    if fault.count <= 0:
                        self._pending.remove(fault)
                    return fault
        return None


def routes(faults: Faults) -> list[BaseRoute]:
    """`GET`, `PUT` (adds) and `DELETE /_faults`."""

    async def handle(request: Request) -> Response:
        if request.method == "DELETE":
            faults.clear()
        if request.method == "PUT":
            try:
                faults.add(await request.json())
            except ValueError as error:
                return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"faults": faults.pending()})

    return [Route("/_faults", handle, methods=["GET", "PUT", "DELETE"])]


class FaultMiddleware:
    """Commits the faults of an ASGI app. It must be the outermost: only there a connection can be cut."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app = app
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or misbehave."""
        fault = self.faults.take(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if fault is None:
            return await self.app(scope, receive, send)
        await asyncio.sleep(fault.delay)
        if fault.drop:
            return await _cut(receive, send)
        if fault.status is not None:
            return await answer(fault)(scope, receive, send)
        return await self.app({**scope, EXPIRED_TOKEN: fault.expired_token}, receive, send)


def answer(fault: Fault) -> Response:
    """The fault's own answer: JSON, or text as it is."""
    status = fault.status or 500
    if isinstance(fault.body, str):
        return Response(fault.body, status, fault.headers)
    body = fault.body if fault.body is not None else {"error": {"code": "InjectedFault", "message": "asked for at /_faults"}}
    return JSONResponse(body, status, fault.headers)


async def _cut(receive: Receive, send: Send) -> None:
    """Abort the transport (uvicorn keeps it at the object that `send` belongs to) and wait until the server has seen it."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("a link can be cut only under uvicorn")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
