"""The Kubernetes API, as much of it as a node agent needs."""

import base64
import json
import logging
import os
import ssl
import tempfile
from asyncio import sleep
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import aiohttp
import yaml

from include.standin.node.settings import NodeError

Json = dict[str, Any]
MERGE = "application/merge-patch+json"
LARGEST_OBJECT = 4_000_000
"""Bytes; etcd refuses larger requests than 1.5 MB."""
WATCH_SECONDS = 300
log = logging.getLogger(__name__)


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def precise() -> str:
    """The time as a Lease has it (MicroTime)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class ApiError(NodeError):
    """The API server refused, or could not be reached (status 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Access:
    """How to reach an API server, as a kubeconfig says."""

    server: str
    tls: ssl.SSLContext
    ca: bytes
    """PEM."""
    token: str | None = None

    @classmethod
    def read(cls, kubeconfig: Path) -> "Access":
        """The current context of a kubeconfig."""
        config = yaml.safe_load(kubeconfig.read_text())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster, user = _named(config["clusters"], context["cluster"])["cluster"], _named(config["users"], context["user"])["user"]
        ca = _content(cluster, "certificate-authority", kubeconfig.parent)
        if ca is None:
            raise ConnectionError(f"{kubeconfig} names no certificate authority for {cluster['server']}")
        tls = ssl.create_default_context(cadata=ca.decode())
        certificate, key = _content(user, "client-certificate", kubeconfig.parent), _content(user, "client-key", kubeconfig.parent)
        if certificate and key:
            _load(tls, certificate + b"\n" + key)
        return cls(cluster["server"].rstrip("/"), tls, ca, user.get("token"))


def _named(items: list[Json], name: str) -> Json:
    return next(item for item in items if item["name"] == name)


def _content(said: Json, field: str, folder: Path) -> bytes | None:
    if data := said.get(f"{field}-data"):
        return base64.b64decode(data)
    return (folder / said[field]).read_bytes() if said.get(field) else None


def _load(tls: ssl.SSLContext, pem: bytes) -> None:
    """The ssl module takes a client certificate from a file only."""
    descriptor, name = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        tls.load_cert_chain(name)
    finally:
        os.unlink(name)


@dataclass(frozen=True)
class Listing:
    """All objects there are, at the start and whenever the watch had a gap."""

    items: list[Json]


@dataclass(frozen=True)
class Change:
    """One object that was added, modified or deleted."""

    kind: str
    item: Json


class Api:
    """A client of one API server. `async with`."""

    def __init__(self, access: Access) -> None:
        self.access = access

    async def __aenter__(self) -> "Api":
        headers = {"User-Agent": "kubelet/edgeloop"}
        if self.access.token:
            headers["Authorization"] = f"Bearer {self.access.token}"
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.access.tls), headers=headers, read_bufsize=LARGEST_OBJECT
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.session.close()

    async def call(self, method: str, path: str, body: Json | None = None, content: str = "application/json") -> Json:
        """One request; ApiError says what the server said."""
        data, headers = (None, {}) if body is None else (json.dumps(body), {"Content-Type": content})
        try:
            async with self.session.request(
                method, self.access.server + path, data=data, headers=headers, timeout=aiohttp.ClientTimeout(total=30)
            ) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, f"{self.access.server} does not answer: {error!r}") from error
        if answer.status >= 300:
            raise ApiError(answer.status, _message(text) or f"{method} {path}: {answer.status}")
        return json.loads(text)

    async def get(self, path: str) -> Json:
        """One object."""
        return await self.call("GET", path)

    async def patch(self, path: str, body: Json) -> Json:
        """A merge patch."""
        return await self.call("PATCH", path, body, MERGE)

    async def follow(self, path: str, **query: str) -> AsyncIterator[Listing | Change]:
        """The objects of a path, then every change, for ever. A server that is away is asked again."""
        while True:
            try:
                listing = await self.call("GET", f"{path}?{urlencode(query)}")
                yield Listing(listing["items"])
                async for change in self._changes(path, query, listing["metadata"]["resourceVersion"]):
                    yield change
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                log.warning("watch of %s: %s", path, error)
                await sleep(0.5)

    async def _changes(self, path: str, query: dict[str, str], version: str) -> AsyncIterator[Change]:
        asked = query | {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_SECONDS + 30)
        async with self.session.get(f"{self.access.server}{path}?{urlencode(asked)}", timeout=timeout) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] == "ERROR":  # usually 410: the server's journal does not reach back
                    return
                if event["type"] != "BOOKMARK":
                    yield Change(event["type"], event["object"])


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:500]
