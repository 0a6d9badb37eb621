"""A registry: blobs, manifests, tags and referrers of the OCI distribution specification 1.1. Content is what its digest says."""

import hashlib
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from include.oci.exceptions import DigestMismatch, ImageUnsupported, NotFound, RegistryRefused, RegistryUnreachable
from include.oci.manifest import IMAGES, INDEXES, OCI_INDEX, Descriptor, Manifest
from include.oci.reference import digest as digest_of
from include.oci.reference import is_digest
from include.oci.upload import Source, Upload
from include.oci.wire import LARGEST_ANSWER, Wire

LARGEST_BLOB = 1024 * 1024 * 1024
"""Bytes of a blob that is read into memory."""
ATTEMPTS = 5
"""How often the reading of one blob may be cut and go on where it was."""
PAGES = 100
"""Pages of a list that are followed."""


class Registry:
    """One registry by URL, with its login and the CA it is verified with (a PEM file or PEM text; default: the system's).

    Raises RegistryUnreachable, NotFound, AccessDenied, RegistryRefused, DigestMismatch (include.oci.exceptions).
    """

    def __init__(
        self,
        url: str,
        username: str | None = None,
        password: str | None = None,
        ca: str | Path | None = None,
        *,
        ca_pem: str | None = None,
    ) -> None:
        tls = ssl.create_default_context(cafile=str(ca) if ca else None, cadata=ca_pem)
        self.wire = Wire(url, username, password, tls)

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self.wire.close()

    @property
    def host(self) -> str:
        """host[:port], as references name it."""
        return self.wire.url.netloc.decode()

    def ping(self) -> None:
        """Raise unless a registry answers and takes the login."""
        self.wire.request("GET", "/v2/", ok=(200,))

    # blobs

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether the repository has the blob."""
        try:
            self.wire.request("HEAD", f"/v2/{repository}/blobs/{digest}", ok=(200,))
        except NotFound:
            return False
        return True

    def blob(self, repository: str, digest: str, limit: int = LARGEST_BLOB) -> bytes:
        """The blob's bytes, hash checked."""
        found = bytearray()
        for chunk in self.read_blob(repository, digest):
            found += chunk
            if len(found) > limit:
                raise ImageUnsupported(f"the blob {digest} of {repository} has more than {limit} bytes")
        return bytes(found)

    def read_blob(self, repository: str, digest: str, start: int = 0) -> Iterator[bytes]:
        """The blob's bytes from `start` on, in pieces, going on after a cut. From the start, the hash is checked at the end."""
        at, cuts, seen = start, 0, hashlib.sha256()
        while True:
            try:
                for chunk in self._pieces(f"/v2/{repository}/blobs/{digest}", at):
                    at += len(chunk)
                    seen.update(chunk)
                    yield chunk
                break
            except RegistryUnreachable:
                cuts += 1
                if cuts >= ATTEMPTS:
                    raise
        if start == 0 and f"sha256:{seen.hexdigest()}" != digest:
            raise DigestMismatch(f"the blob {digest} of {self.host}/{repository}", digest, f"sha256:{seen.hexdigest()}")

    def _pieces(self, path: str, start: int) -> Iterator[bytes]:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with self.wire.stream(path, headers) as response:
            unwanted = start if response.status_code == 200 else 0  # a registry without ranges starts from the beginning
            for chunk in response.iter_raw():
                if unwanted >= len(chunk):
                    unwanted -= len(chunk)
                else:
                    yield chunk[unwanted:]
                    unwanted = 0

    def write_blob(self, repository: str, data: bytes) -> str:
        """Push the bytes unless they are there; gives their digest."""
        digest = digest_of(data)
        self.send_blob(repository, digest, len(data), lambda start: iter([data[start:]]))
        return digest

    def send_blob(self, repository: str, digest: str, size: int, source: Source, mount_from: str | None = None) -> None:
        """Push `size` bytes of `source(start)` unless they are there, or mount them from another repository of this registry."""
        if not self.has_blob(repository, digest):
            Upload(self.wire, repository, digest, size, source).run(mount_from)

    # manifests and tags

    def manifest(self, repository: str, reference: str) -> Manifest:
        """The manifest that a tag or digest names: bytes as they are, hash checked when asked by digest."""
        headers = {"Accept": ", ".join((*IMAGES, *INDEXES))}
        answer = self.wire.request("GET", f"/v2/{repository}/manifests/{reference}", ok=(200,), headers=headers)
        found = Manifest(answer.body, answer.headers.get("Content-Type", "").partition(";")[0])
        if is_digest(reference) and found.digest != reference:
            raise DigestMismatch(f"the manifest {reference} of {self.host}/{repository}", reference, found.digest)
        return found

    def resolve(self, repository: str, tag: str) -> str | None:
        """The digest that a tag (or digest) names, None when it names nothing. From the manifest's bytes, not from a header."""
        try:
            return self.manifest(repository, tag).digest
        except NotFound:
            return None

    def write_manifest(self, repository: str, manifest: Manifest, tag: str | None = None) -> bool:
        """Push a manifest by digest, or under a tag. Gives whether the registry itself lists it as a referrer of its subject."""
        path = f"/v2/{repository}/manifests/{tag or manifest.digest}"
        answer = self.wire.request("PUT", path, ok=(200, 201, 202), headers={"Content-Type": manifest.media_type}, content=manifest.content)
        return "OCI-Subject" in answer.headers

    def tags(self, repository: str) -> list[str]:
        """Every tag of the repository, sorted."""
        try:
            return sorted(tag for page in self._pages(f"/v2/{repository}/tags/list") for tag in page.get("tags") or ())
        except NotFound:
            return []

    # referrers

    def referrers(self, repository: str, digest: str) -> list[Descriptor]:
        """What refers to the digest (signatures, attestations). Without the API, the list under the fallback tag `sha256-<hex>`."""
        try:
            pages = [*self._pages(f"/v2/{repository}/referrers/{digest}")]
        except RegistryRefused as refused:
            if refused.status not in (404, 405, 400):
                raise
            return self.tagged_referrers(repository, digest)
        return [Descriptor.read(one) for page in pages for one in page.get("manifests") or ()]

    def tagged_referrers(self, repository: str, digest: str) -> list[Descriptor]:
        """The list under the fallback tag; empty when there is none."""
        try:
            found = self.manifest(repository, fallback_tag(digest))
        except NotFound:
            return []
        return found.manifests

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        place: str | httpx.URL = path
        for _ in range(PAGES):
            answer = self.wire.request("GET", place, ok=(200,), headers={"Accept": f"{OCI_INDEX}, application/json"})
            try:
                page = json.loads(answer.body)
            except ValueError as error:
                raise RegistryRefused(f"GET {path}: a list that is not JSON", answer.status) from error
            if not isinstance(page, dict):
                raise RegistryRefused(f"GET {path}: a list that is not a JSON object", answer.status)
            yield page
            link = answer.headers.get("Link", "")
            if 'rel="next"' not in link:
                return
            place = self.wire.resolve(link.partition("<")[2].partition(">")[0])
        raise RegistryRefused(f"GET {path}: more than {PAGES} pages of up to {LARGEST_ANSWER} bytes", 200)


def fallback_tag(digest: str) -> str:
    """The tag that lists referrers where the registry has no API for them (OCI distribution specification, "Referrers tag schema")."""
    return digest.replace(":", "-")
