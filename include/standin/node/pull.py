"""Pulling by the OCI distribution protocol: manifests and blobs, every hash checked."""

import base64
import hashlib
import json
import os
import platform
import re
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp

from include.standin.node.settings import NodeError

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
LARGEST_MANIFEST = 4 << 20
"""Bytes; what the distribution specification recommends as the limit."""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class ImageError(NodeError):
    """An image that cannot be had or cannot run here; the message says why."""


@dataclass(frozen=True)
class Reference:
    """`registry/repository[:tag][@digest]`, with Docker's defaults for what is left out."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, name: str) -> "Reference":
        """Read an image's name; ImageError (InvalidImageName) when it is none."""
        rest, _, digest = name.partition("@")
        head, slash, tail = rest.partition("/")
        if slash and ("." in head or ":" in head or head == "localhost"):
            registry, rest = head, tail
        else:
            registry, rest = "registry-1.docker.io", rest if slash else f"library/{rest}"
        repository, _, tag = rest.partition(":")
        if not re.fullmatch(r"[a-z0-9]+([._/-]+[a-z0-9]+)*", repository) or (digest and not DIGEST.fullmatch(digest)):
            raise ImageError(f"{name!r} is not the name of an image: write registry/repository@sha256:<64 hex digits>")
        return cls(registry, repository, tag or (None if digest else "latest"), digest or None)

    @property
    def version(self) -> str:
        """What the registry is asked for: the digest, else the tag."""
        return self.digest or self.tag or "latest"


@dataclass(frozen=True)
class Login:
    """A name and a password at a registry."""

    user: str
    password: str

    @property
    def basic(self) -> str:
        """The Authorization header of HTTP Basic."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def logins(dockerconfigjson: bytes) -> dict[str, Login]:
    """Registry -> login, of a Secret of type kubernetes.io/dockerconfigjson; ImageError when it is not JSON of that form."""
    found = {}
    try:
        for name, said in json.loads(dockerconfigjson)["auths"].items():
            user, _, password = base64.b64decode(said.get("auth", "")).decode().partition(":")
            registry = re.sub(r"^https?://", "", name).partition("/")[0]
            found[registry] = Login(said.get("username", user), said.get("password", password))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ImageError("an imagePullSecret holds no dockerconfigjson: create it with `kubectl create secret docker-registry`") from error
    return found


class Registry:
    """One repository of one registry."""

    def __init__(self, session: aiohttp.ClientSession, tls: ssl.SSLContext, reference: Reference, login: Login | None) -> None:
        self.session, self.tls, self.login = session, tls, login
        self.registry, self.repository = reference.registry, reference.repository
        self.url = f"https://{self.registry}/v2/{self.repository}"
        self.authorization = login.basic if login else None

    async def manifest(self, version: str) -> tuple[str, bytes]:
        """Digest and content of a manifest; of an index, that of this machine's platform."""
        content = await self._small(f"{self.url}/manifests/{version}")
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if DIGEST.fullmatch(version) and digest != version:
            raise ImageError(f"{self.registry} answered {version} with content of {digest}")
        said = _manifest(content, version)
        if "manifests" not in said:
            return digest, content
        machine = MACHINES.get(platform.machine(), platform.machine())
        for entry in said["manifests"]:
            if entry.get("platform", {}).get("os") == "linux" and entry["platform"].get("architecture") == machine:
                return await self.manifest(entry["digest"])
        raise ImageError(f"{self.repository}@{digest} has no image for linux/{machine}")

    async def blob(self, digest: str, size: int, target: Path) -> None:
        """Put a blob into a file, whole and checked or not at all."""
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".pull-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                found = await self._stream(digest, size, file)
            if found != digest:
                raise ImageError(f"blob {digest} of {self.repository}: the content from {self.registry} has {found}")
            os.replace(name, target)
        finally:
            Path(name).unlink(missing_ok=True)

    async def _stream(self, digest: str, size: int, file: Any) -> str:
        hashed, count = hashlib.sha256(), 0
        answer = await self._get(f"{self.url}/blobs/{digest}")
        try:
            async for chunk in answer.content.iter_chunked(1 << 20):
                count += len(chunk)
                if count > size:
                    raise ImageError(f"blob {digest} of {self.repository} is longer than the {size} bytes that its manifest says")
                hashed.update(chunk)
                file.write(chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ImageError(f"blob {digest} of {self.repository}: the download broke off: {error!r}") from error
        finally:
            answer.close()
        return "sha256:" + hashed.hexdigest()

    async def _small(self, url: str) -> bytes:
        answer = await self._get(url)
        try:
            content = b""
            async for chunk in answer.content.iter_chunked(1 << 16):
                content += chunk
                if len(content) > LARGEST_MANIFEST:
                    raise ImageError(f"{url} is longer than {LARGEST_MANIFEST} bytes")
            return content
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ImageError(f"{url}: the download broke off: {error!r}") from error
        finally:
            answer.close()

    async def _get(self, url: str, retried: bool = False) -> aiohttp.ClientResponse:
        headers = {"Accept": ", ".join(MANIFESTS)} | ({"Authorization": self.authorization} if self.authorization else {})
        try:
            answer = await self.session.get(
                url, headers=headers, ssl=self.tls, timeout=aiohttp.ClientTimeout(sock_connect=10, sock_read=60)
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ImageError(f"registry {self.registry} cannot be reached: {error}") from error
        if answer.status == 200:
            return answer
        challenge = answer.headers.get("WWW-Authenticate", "")
        answer.close()
        if answer.status == 401 and not retried and challenge.lower().startswith("bearer "):
            self.authorization = f"Bearer {await self._token(challenge)}"
            return await self._get(url, retried=True)
        raise ImageError(self._refusal(answer.status, url))

    def _refusal(self, status: int, url: str) -> str:
        if status in (401, 403):
            who = f"the login {self.login.user!r}" if self.login else "a request without a login (no imagePullSecret names this registry)"
            return f"registry {self.registry} refused {who}: {status}"
        if status == 404:
            return f"{self.registry}/{self.repository}: {url.rpartition('/')[2]} not found"
        return f"registry {self.registry} answered {url} with {status}"

    async def _token(self, challenge: str) -> str:
        """A token of the realm that a challenge names (Docker's token authentication)."""
        said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        query = {name: said[name] for name in ("service", "scope") if name in said}
        headers = {"Authorization": self.login.basic} if self.login else {}
        realm = urljoin(self.url, said.get("realm", ""))
        if not realm.startswith("https://"):
            raise ImageError(f"registry {self.registry} sends logins to {realm}, which is not https")
        try:
            async with self.session.get(realm, params=query, headers=headers, ssl=self.tls) as answer:
                if answer.status != 200:
                    raise ImageError(self._refusal(answer.status, realm))
                token = await answer.json(content_type=None)
                return str(token.get("token") or token["access_token"])
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
            raise ImageError(f"registry {self.registry}: no token from {realm}: {error!r}") from error


def _manifest(content: bytes, version: str) -> dict[str, Any]:
    try:
        said = json.loads(content)
        return said if isinstance(said, dict) else {}
    except ValueError as error:
        raise ImageError(f"manifest {version} is not JSON") from error
