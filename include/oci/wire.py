"""HTTP to one registry: verified TLS, login, bounded answers, retries that respect Retry-After, typed errors."""

import json
import random
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from include.oci.auth import RegistryAuth
from include.oci.exceptions import AccessDenied, NotFound, RegistryRefused, RegistryUnreachable

PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds before each further attempt, unless the registry names its own."""
LONGEST_PAUSE = 30.0
"""Seconds; a registry that asks for more is given up on."""
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
LARGEST_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer that is not a blob. Registries refuse manifests over 4 MiB (OCI distribution specification)."""
RETRIED = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: httpx.Headers
    body: bytes


class Wire:
    """One registry's HTTP. `http://` is taken for this machine only."""

    def __init__(self, url: str, username: str | None, password: str | None, tls: ssl.SSLContext) -> None:
        self.url = httpx.URL(url.rstrip("/"))
        if self.url.scheme != "https" and not (self.url.scheme == "http" and self.url.host in ("127.0.0.1", "localhost", "::1")):
            raise RegistryUnreachable(f"{url!r} is not the URL of a registry: write https://host[:port]")
        self._client = httpx.Client(
            verify=tls, timeout=TIMEOUT, auth=RegistryAuth(self.url, username, password), follow_redirects=True, max_redirects=5
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def resolve(self, location: str) -> httpx.URL:
        """A Location header as a URL."""
        return self.url.join(location)

    def request(
        self,
        method: str,
        path: str | httpx.URL,
        *,
        ok: tuple[int, ...],
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        retry: bool = True,
    ) -> Answer:
        """Send, again after a lost connection, 429 or 5xx; gives an answer whose status is in `ok`, else raises what it means."""
        for pause in (*PAUSES, None) if retry else (None,):
            try:
                with self._sent(method, path, params, headers, content) as response:
                    answer = Answer(response.status_code, response.headers, _bounded(response))
            except httpx.TransportError as error:
                wait = None if "CERTIFICATE_VERIFY_FAILED" in str(error) else pause
                if wait is None:
                    raise self._unreachable(method, path, error) from error
            else:
                wait = pause_asked(answer.headers, pause) if answer.status in RETRIED else None
                if wait is None:
                    return _checked(f"{method} {self._said(path)}", answer, ok)
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """GET without reading: 200 or 206. One attempt; the caller knows how to go on."""
        try:
            with self._sent("GET", path, None, headers, None) as response:
                if response.status_code not in (200, 206):
                    answer = Answer(response.status_code, response.headers, _bounded(response))
                    _checked(f"GET {self._said(path)}", answer, (200, 206))
                yield response
        except httpx.TransportError as error:
            raise self._unreachable("GET", path, error) from error

    @contextmanager
    def _sent(
        self,
        method: str,
        path: str | httpx.URL,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
    ) -> Iterator[httpx.Response]:
        url = self.url.join(path) if isinstance(path, str) else path
        request = self._client.build_request(method, url.copy_merge_params(params or {}), headers=dict(headers or {}), content=content)
        response = self._client.send(request, stream=True)
        try:
            yield response
        finally:
            response.close()

    def _said(self, path: str | httpx.URL) -> str:
        """The place for messages: without its query, which may hold a session's secret."""
        return str((self.url.join(path) if isinstance(path, str) else path).copy_with(query=None))

    def _unreachable(self, method: str, path: str | httpx.URL, error: Exception) -> RegistryUnreachable:
        return RegistryUnreachable(
            f"{method} {self._said(path)}: no answer ({type(error).__name__}: {error}). Is the registry up, and its CA known?"
        )


def pause_asked(headers: httpx.Headers, pause: float | None) -> float | None:
    """Seconds to wait: Retry-After if it is there, else `pause` with some jitter. None: give up."""
    if pause is None:
        return None
    asked = headers.get("Retry-After", "")
    if asked.isdigit():
        return float(asked) if float(asked) <= LONGEST_PAUSE else None
    return pause * random.uniform(0.8, 1.2)  # noqa: S311 spreads clients, no secret


def _bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise RegistryRefused(
                f"{response.request.method} {response.url.path}: an answer over {LARGEST_ANSWER} bytes", response.status_code
            )
    return bytes(body)


def _checked(what: str, answer: Answer, ok: tuple[int, ...]) -> Answer:
    if answer.status in ok:
        return answer
    codes, detail = _errors(answer.body)
    kind = {401: AccessDenied, 403: AccessDenied, 404: NotFound}.get(answer.status, RegistryRefused)
    raise kind(what, answer.status, codes, detail)


def _errors(body: bytes) -> tuple[tuple[str, ...], str]:
    """Codes and messages of an error body (OCI distribution specification, "Error codes")."""
    try:
        errors = json.loads(body)["errors"]
        return tuple(str(one["code"]) for one in errors), "; ".join(str(one.get("message", "")) for one in errors)[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        return (), body[:200].decode(errors="replace")
