"""Services over TLS: Starlette on uvicorn. What every control plane of the embedded cloud is served by."""

import asyncio
import contextlib
import signal
import ssl
import threading
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from include.standin import faults
from include.standin.bounds import BodyLimit
from include.standin.entra.exceptions import TokenRefused
from include.standin.entra.models import Directory
from include.standin.home import Home, port_taken

LARGEST_BODY = 512 * 1024 * 1024
"""Bytes of a request; the largest are layers of images."""
START_WITHIN = 30.0
"""Seconds; the machine may be busy with other things."""


class Service(Protocol):
    """One stand-in service. A service may also have `exception_handlers`, as Starlette takes them."""

    routes: list[BaseRoute]
    audience: str | None
    """Bearer tokens for this audience are required on its routes; None: the service checks its callers itself."""

    async def start(self) -> None:
        """Take up what runs in the background, also what a killed program left unfinished."""

    async def stop(self) -> None:
        """Stop what runs in the background; state stays on disk."""


class Guarded(BaseRoute):
    """A route that asks for a bearer token first."""

    def __init__(self, route: BaseRoute, directory: Directory, audience: str) -> None:
        self.route = route
        self.directory = directory
        self.audience = audience

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whatever the route matches."""
        return self.route.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The route's answer, or 401."""
        try:
            self.directory.check(Headers(scope=scope).get("authorization"), self.audience)
        except TokenRefused as refused:
            authority = self.directory.authority(self.directory.home.identity.tenant_id)
            return await refused.response(authority)(scope, receive, send)
        return await self.route.handle(scope, receive, send)


def _guarded(home: Home, service: Service) -> list[BaseRoute]:
    audience = service.audience
    if audience is None:
        return [*service.routes]
    return [Guarded(route, Directory(home), audience) for route in service.routes]


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def create_app(home: Home, *services: Service) -> ASGIApp:
    """The services as one ASGI app, with `/_health`, `/_faults` and the check of tokens."""
    wanted = faults.Faults()
    found: list[BaseRoute] = [Route("/_health", _health), *faults.routes(wanted)]
    handlers: dict[Any, Any] = {}
    for service in services:
        found += _guarded(home, service)
        handlers |= getattr(service, "exception_handlers", {})

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as running:
            for service in services:
                await service.start()
                running.push_async_callback(service.stop)
            yield

    app = Starlette(routes=found, lifespan=lifespan, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return faults.FaultMiddleware(BodyLimit(app, LARGEST_BODY), wanted)


def _server(app: ASGIApp, home: Home, port: int) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        host=home.place.bind,
        port=port,
        ssl_certfile=str(home.cert),
        ssl_keyfile=str(home.key),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        lifespan="on",
    )
    return uvicorn.Server(config)


def run(app: ASGIApp, home: Home, port: int) -> None:
    """Serve until SIGTERM. Blocks."""
    _server(app, home, port).run()


async def serve_all(home: Home, apps: dict[int, ASGIApp]) -> None:
    """Serve several apps, by port, until SIGTERM or SIGINT."""
    servers = [_server(app, home, port) for port, app in apps.items()]

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    async with asyncio.TaskGroup() as group:
        for server in servers:
            # uvicorn's own handling of signals is for one server a process
            server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
            group.create_task(server.serve())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)


def client_context(home: Home) -> ssl.SSLContext:
    """What a client verifies this home's servers with."""
    return ssl.create_default_context(cafile=str(home.ca))


class Background:
    """Serves in a thread, for tests: `with Background(app, home, port) as url`."""

    def __init__(self, app: ASGIApp, home: Home, port: int) -> None:
        self.server = _server(app, home, port)
        self.port = port
        self.url = f"https://localhost:{port}"
        self.thread = threading.Thread(target=self._serve, name=f"serve-{port}", daemon=True)
        self.ended = threading.Event()

    def _serve(self) -> None:
        try:
            asyncio.run(self.server.serve())
        finally:
            self.ended.set()

    def __enter__(self) -> str:
        """Start, and give the URL when it answers."""
        if port_taken(self.port):
            raise RuntimeError(f"port {self.port} is in use")
        self.thread.start()
        waited = 0.0
        while not self.server.started:
            if self.ended.wait(0.02):
                raise RuntimeError(f"the server on port {self.port} did not start; its log says why")
            waited += 0.02
            if waited > START_WITHIN:
                raise RuntimeError(f"the server on port {self.port} did not start within {START_WITHIN:.0f} s")
        return self.url

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop, and wait until it has."""
        self.server.should_exit = True
        self.thread.join(START_WITHIN)
