"""Blobs over REST, several requests at once: the factory's identity is the account's key (Shared Key).

https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
"""

import asyncio
import base64
import hashlib
import hmac
import ssl
from collections.abc import Callable, Mapping
from email.utils import formatdate
from types import TracebackType
from urllib.parse import quote, urlsplit

import aiohttp
import yarl

from include.standin.data_factory import exceptions

API = "2019-07-07"
"""What Stack Hub speaks, and every newer account as well."""
TRIES = 4
LATER = frozenset({429, 500, 502, 503, 504})
SIGNED = ("Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date", "If-Modified-Since")
SIGNED_TOO = ("If-Match", "If-None-Match", "If-Unmodified-Since", "Range")


def account_of(endpoint: str) -> str:
    """Name of the account that an endpoint belongs to: the path of a path-style URL, else the host's first label."""
    parts = urlsplit(endpoint)
    return parts.path.strip("/") or (parts.hostname or "").partition(".")[0]


def authorization(method: str, path: str, headers: Mapping[str, str], account: str, key: str) -> str:
    """Value of the Authorization header for a request without a query; `path` is the encoded path of its URL."""
    lines = [method, *(headers.get(name, "") for name in (*SIGNED, *SIGNED_TOO))]
    lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-ms-")]
    text = "\n".join([*lines, f"/{account}{path}"])
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return f"SharedKey {account}:{base64.b64encode(digest).decode()}"


class Blobs:
    """A pool of connections to the storage accounts that one run touches. `key_of` gives an account's key, KeyError for a strange one."""

    def __init__(self, context: ssl.SSLContext, key_of: Callable[[str], str], connections: int = 32) -> None:
        self.key_of = key_of
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=context),
            timeout=aiohttp.ClientTimeout(total=60),
            auto_decompress=False,
        )

    async def __aenter__(self) -> "Blobs":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._session.close()

    async def read(self, endpoint: str, container: str, path: str) -> bytes:
        """The blob's bytes; CopyError UserErrorSourceBlobNotExist when it is not there."""
        status, code, data = await self._send("GET", endpoint, container, path, None, {})
        if status == 404:
            raise exceptions.blob_not_exist(container, path)
        if status != 200:
            raise exceptions.storage_failed(status, code, container, path)
        return data

    async def write(self, endpoint: str, container: str, path: str, data: bytes, content_type: str) -> None:
        """Create or replace the blob; its MD5 is kept with it."""
        md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-blob-content-md5": md5, "Content-Type": content_type}
        status, code, _ = await self._send("PUT", endpoint, container, path, data, headers)
        if status != 201:
            raise exceptions.storage_failed(status, code, container, path)

    async def _send(
        self, method: str, endpoint: str, container: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str, bytes]:
        """Status, the service's error code and the body; asks again while the service says later or does not answer."""
        url = f"{endpoint.rstrip('/')}/{container}/{quote(path, safe='/~')}"
        status, code, body = 0, "no answer", b""
        for attempt in range(TRIES):
            await asyncio.sleep(0.2 * 2**attempt if attempt else 0)
            try:
                status, code, body = await self._once(method, url, data, dict(headers), account_of(endpoint))
            except (aiohttp.ClientConnectionError, TimeoutError) as error:
                status, code = 0, str(error)
            if status and status not in LATER:
                break
        return status, code, body

    async def _once(self, method: str, url: str, data: bytes | None, headers: dict[str, str], account: str) -> tuple[int, str, bytes]:
        headers |= {"x-ms-date": formatdate(usegmt=True), "x-ms-version": API}
        if data:
            headers["Content-Length"] = str(len(data))
        try:
            key = self.key_of(account)
        except KeyError as error:
            raise exceptions.CopyError(
                "UserErrorInvalidStorageAccount", f"The factory has no access to storage account '{account}'."
            ) from error
        headers["Authorization"] = authorization(method, urlsplit(url).path, headers, account, key)
        target = yarl.URL(url, encoded=True)
        async with self._session.request(method, target, data=data, headers=headers, skip_auto_headers=("Content-Type",)) as answer:
            return answer.status, answer.headers.get("x-ms-error-code", ""), await answer.read()
