"""One proxy for the blobs and the queues of all accounts: TLS in front of the Azurites, and the rules that they do not have.

Paths, queries and `x-ms-` headers pass as they came, so that SharedKey signatures and SAS stay valid. Bodies are streamed.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from include.standin.faults import Faults
from include.standin.home import Home
from include.standin.storage import exceptions, rules
from include.standin.storage.azurite import all_of
from include.standin.storage.control import control, misbehave
from include.standin.storage.listing import begin_at

LARGEST_BODY = 300 * 1024 * 1024
"""Bytes of one request; Stack Hub's largest single upload is 256 MiB."""
HOP_BY_HOP = frozenset({"host", "connection", "keep-alive", "transfer-encoding", "expect", "upgrade", "proxy-connection", "te", "trailer"})
OWN_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
"""aiohttp must not add them: some are signed."""
SERVICES = ("blob", "queue")


@dataclass(frozen=True)
class Upstream:
    """Where an account's requests go."""

    urls: dict[str, str]
    """Service -> URL of the Azurite."""
    is_site: bool


@dataclass
class Proxy:
    """The proxy of one home."""

    home: Home
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.accounts = {
            one.account: Upstream({"blob": one.blob_url, "queue": one.queue_url}, one.site is not None) for one in all_of(self.home)
        }
        self.writes: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.running = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Listen on both ports."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=3)  # Node closes idle connections after 5 s
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=120)
        self.client = await self.running.enter_async_context(
            aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        )
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self.home.cert, self.home.key)
        for service in SERVICES:
            runner = web.ServerRunner(web.Server(self._handler(service), access_log=None, keepalive_timeout=75), shutdown_timeout=1)
            await runner.setup()
            self.running.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, self.home.place.bind, self.home.port(service), ssl_context=tls).start()

    async def stop(self) -> None:
        """Close both ports and every connection."""
        await self.running.aclose()

    def _handler(self, service: str) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            if own := await control(request, self.faults):
                return own
            if fault := self.faults.take(request.method, request.path):
                made = await misbehave(request, fault)
                if made is not None:
                    return made
            try:
                return await self._answer(request, service)
            except exceptions.StorageError as refused:
                return refused.response()
            except (aiohttp.ClientError, TimeoutError) as error:
                return exceptions.server_busy(type(error).__name__).response()

        return handle

    async def _answer(self, request: web.BaseRequest, service: str) -> web.StreamResponse:
        asked = rules.Asked.parse(request.method, request.raw_path, request.headers)
        upstream = self.accounts.get(asked.account)
        if upstream is None:
            raise exceptions.unknown_account(asked.account)
        if (request.content_length or 0) > LARGEST_BODY:
            raise exceptions.too_large(LARGEST_BODY)
        target = upstream.urls[service]
        if upstream.is_site:
            rules.check_stack_hub(asked)
        elif service == "blob":
            rules.check_cloud(asked)
            if rules.changes_immutable(asked):
                return await self._write_once(request, target)
        return await self._forward(request, target, rules.starts_from(asked) if service == "blob" else None)

    async def _write_once(self, request: web.BaseRequest, target: str) -> web.StreamResponse:
        """Forward unless the blob is there. One write of a blob at a time: look and write must not be torn apart."""
        path = request.raw_path.partition("?")[0]
        lock = self.writes.setdefault(path, asyncio.Lock())
        async with lock:
            async with self.client.head(URL(f"{target}{path}?{self._looking}", encoded=True)) as found:
                if found.status == 200:
                    raise exceptions.immutable_blob()
            return await self._forward(request, target, None)

    @property
    def _looking(self) -> str:
        """A SAS that may read the cloud's blobs for a moment."""
        from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

        account = self.home.account()
        return str(
            generate_account_sas(
                account,
                self.home.account_key(account),
                resource_types=ResourceTypes(object=True),
                permission=AccountSasPermissions(read=True),
                expiry=datetime.now(UTC) + timedelta(minutes=10),
            )
        )

    async def _forward(self, request: web.BaseRequest, target: str, begin: str | None) -> web.StreamResponse:
        headers = _passed(request.headers)
        body = _bounded(request) if request.body_exists and request.content_length != 0 else None
        url = URL(target + request.raw_path, encoded=True)
        async with self.client.request(
            request.method, url, headers=headers, data=body, allow_redirects=False, skip_auto_headers=OWN_HEADERS
        ) as reply:
            if begin and reply.status == 200:
                kept = begin_at(await reply.read(), begin)
                return web.Response(body=kept, headers=_passed(reply.headers, also={"content-length"}))
            return await _streamed(request, reply)


def _passed(headers: "CIMultiDictProxy[str]", also: set[str] | None = None) -> "CIMultiDict[str]":
    """The headers that go on, repeated ones too."""
    named_by_peer = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    dropped = HOP_BY_HOP | named_by_peer | (also or set())
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


async def _bounded(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """The request's body as it arrives; StorageError when it passes the bound."""
    seen = 0
    async for chunk in request.content.iter_any():
        seen += len(chunk)
        if seen > LARGEST_BODY:
            raise exceptions.too_large(LARGEST_BODY)
        yield chunk


async def _streamed(request: web.BaseRequest, reply: aiohttp.ClientResponse) -> web.StreamResponse:
    answer = web.StreamResponse(status=reply.status, reason=reply.reason, headers=_passed(reply.headers))
    await answer.prepare(request)
    try:
        async for chunk in reply.content.iter_any():
            await answer.write(chunk)
    except (aiohttp.ClientError, BadHttpMessage, TimeoutError):
        # The status has left already: only a cut connection tells the client that the body is not whole.
        if request.transport is not None:
            request.transport.abort()
        return answer
    await answer.write_eof()
    return answer
