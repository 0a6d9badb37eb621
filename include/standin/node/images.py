"""An image as a process: its config says what to run, its layers after the runtime's are unpacked, the interpreter is this machine's."""

import asyncio
import json
import os
import platform
import shutil
import ssl
import sys
import tarfile
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import aiohttp

from include.standin.node.pull import DIGEST, ImageError, Login, Reference, Registry
from include.standin.node.unpack import clear, unpack

RUNTIME = "edgeloop.runtime"
"""Label: how many of the first layers this machine's Python stands for."""
LARGEST_STUB = 1 << 20
"""Bytes of a runtime layer that is a stub; a real one needs not be pulled."""


@dataclass(frozen=True)
class Image:
    """An image that is on this machine."""

    digest: str
    root: Path
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    env: dict[str, str]
    folder: str
    """Working directory, as the image says it."""


class Images:
    """The images of this machine, by digest. Nodes may share the folder: everything in it appears whole."""

    def __init__(self, folder: Path, ca: Path, session: aiohttp.ClientSession) -> None:
        self.folder, self.session = folder, session
        self.tls = ssl.create_default_context()
        self.tls.load_verify_locations(ca)
        self.locks: dict[str, asyncio.Lock] = {}
        clear(folder / "roots")

    async def get(self, name: str, policy: str, logins: dict[str, Login]) -> Image:
        """The image of a name. `policy` is the container's imagePullPolicy. ImageError says what is wrong and where."""
        reference = Reference.parse(name)
        async with self.locks.setdefault(name, asyncio.Lock()):
            try:
                return await self._get(reference, policy, Registry(self.session, self.tls, reference, logins.get(reference.registry)))
            except OSError as error:
                raise ImageError(f"{name}: {error}") from error

    async def _get(self, reference: Reference, policy: str, registry: Registry) -> Image:
        digest = reference.digest or self._resolved(reference)
        if policy == "Never" and not digest:
            raise ImageError("the image is not on this node, and imagePullPolicy is Never")
        if not digest or (policy == "Always" and not reference.digest):
            digest, content = await registry.manifest(reference.version)
            self._keep(self._blob(digest), content)
            self._keep(self._tag(reference), digest.encode())
        manifest = await self._manifest(digest, registry)
        config = json.loads((await self._have(manifest["config"], registry)).read_bytes())
        said = config.get("config") or {}
        skipped = _stands_for(said, len(manifest["layers"]))
        await self._check_runtime(manifest["layers"][:skipped], registry)
        root = self.folder / "roots" / digest.replace(":", "-")
        if not root.is_dir():
            layers = [await self._have(layer, registry) for layer in manifest["layers"][skipped:]]
            await asyncio.to_thread(unpack, layers, root)
        env = dict(entry.split("=", 1) for entry in said.get("Env") or () if not entry.startswith("PATH="))
        return Image(digest, root, tuple(said.get("Entrypoint") or ()), tuple(said.get("Cmd") or ()), env, said.get("WorkingDir") or "/")

    async def _manifest(self, digest: str, registry: Registry) -> dict[str, Any]:
        """The manifest; ImageError where it is none of an image."""
        path, index = self._blob(digest), self.folder / "indexes" / digest.replace(":", "-")
        if index.exists():  # the digest of an index was asked for before: which image of it is this platform's
            path = self._blob(index.read_text())
        if not path.exists():
            found, content = await registry.manifest(digest)
            self._keep(self._blob(found), content)
            if found != digest:
                self._keep(index, found.encode())
            path = self._blob(found)
        manifest = json.loads(path.read_bytes())
        if not isinstance(manifest.get("layers"), list) or "config" not in manifest:
            raise ImageError(f"{digest} is not an image: its manifest has no config and layers")
        return manifest

    async def _have(self, descriptor: dict[str, Any], registry: Registry) -> Path:
        """The file of a blob, pulled unless it is there."""
        digest = str(descriptor.get("digest"))
        if not DIGEST.fullmatch(digest):
            raise ImageError(f"the manifest names a blob {digest!r}: only sha256 digests are pulled")
        path = self._blob(digest)
        if not path.exists():
            await registry.blob(digest, int(descriptor["size"]), path)
        return path

    async def _check_runtime(self, layers: list[dict[str, Any]], registry: Registry) -> None:
        for layer in layers:
            if layer["size"] <= LARGEST_STUB and (said := _runtime(await self._have(layer, registry))):
                if differences := compare(said):
                    raise ImageError(
                        f"the image's runtime is not this machine's: {'; '.join(differences)}. "
                        "Install what the image wants, or build its base again on this machine"
                    )
                return
        raise ImageError("the image's runtime layers hold no runtime.json: this node cannot tell whether its Python can stand for them")

    def _blob(self, digest: str) -> Path:
        return self.folder / "blobs" / digest.replace(":", "-")

    def _tag(self, reference: Reference) -> Path:
        return self.folder / "tags" / sha256(f"{reference.registry}/{reference.repository}:{reference.tag}".encode()).hexdigest()

    def _resolved(self, reference: Reference) -> str | None:
        path = self._tag(reference)
        return path.read_text() if path.exists() else None

    def _keep(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _stands_for(config: dict[str, Any], layers: int) -> int:
    label = (config.get("Labels") or {}).get(RUNTIME, "")
    if not label.isdigit() or not 1 <= int(label) <= layers:
        raise ImageError(
            f"the image has no label {RUNTIME}: pods of this node are processes on this machine's Python, "
            "so it runs only images that are built on the stand-in's base images"
        )
    return int(label)


def _runtime(layer: Path) -> dict[str, Any] | None:
    try:
        with tarfile.open(layer) as archive:
            for member in archive:
                if member.name.lstrip("./") == "runtime.json" and (file := archive.extractfile(member)):
                    return json.loads(file.read(LARGEST_STUB))
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ImageError(f"runtime layer {layer.name} cannot be read: {error}") from error
    return None


def compare(runtime: dict[str, Any]) -> list[str]:
    """What differs between a runtime.json and this machine; empty when it can stand for it."""
    found = []
    if runtime.get("python") != platform.python_version():
        found.append(f"Python {runtime.get('python')} there, {platform.python_version()} here")
    for name, wanted in (runtime.get("packages") or {}).items():
        try:
            here = version(name)
        except PackageNotFoundError:
            here = "not installed"
        if here != wanted:
            found.append(f"{name} {wanted} there, {here} here")
    return found


def interpreter(program: str) -> str:
    """This machine's Python for `python`, `python3` or `python3.11`; any other program as it is."""
    name = Path(program).name
    if name == "python" or (name.startswith("python3") and name.removeprefix("python3").lstrip(".").isdigit()) or name == "python3":
        return sys.executable
    return program if "/" in program else shutil.which(program) or program
