"""A registry on disk: content by digest, and repositories that link to it. Every write is whole or not there.

blobs/<hex>                              content, once for all repositories
repositories/<name>/_blobs/<hex>         an empty file: the repository has the blob
repositories/<name>/_manifests/<hex>     its media type: the repository has the manifest
repositories/<name>/_tags/<tag>          the digest
repositories/<name>/_referrers/<subject hex>/<hex>    the referrer's descriptor
uploads/<id>                             what an open upload has so far
"""

import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

from include.oci.exceptions import ImageUnsupported
from include.oci.manifest import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest
from include.oci.reference import TAG, digest, is_digest, is_repository
from include.standin.container_registry import exceptions as refuse

LARGEST_MANIFEST = 4 * 1024 * 1024
"""Bytes; the specification's own bound."""
MEDIA_TYPES = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX)
MUTABLE = re.compile(r"sha256-[0-9a-f]{64}(\..+)?")
"""Tags that other clients keep lists of referrers and signatures under: these must be able to grow."""


def write_whole(file: Path, data: bytes) -> None:
    """Write so that a reader, and a crash, sees all of it or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


class Store:
    """All repositories of one registry."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def repository(self, name: str) -> "Repository":
        """A repository by name, there or not; NAME_INVALID when it cannot be one."""
        if not is_repository(name):
            raise refuse.NameInvalid(f"{name!r} is not the name of a repository")
        return Repository(self, name)

    def content(self, of: str) -> Path:
        """Where the content of a digest lies."""
        return self.root / "blobs" / _hex(of)

    def read(self, of: str) -> bytes:
        """The content, checked: what a disk changed is not served."""
        try:
            data = self.content(of).read_bytes()
        except FileNotFoundError:
            raise refuse.BlobUnknown(f"there is no content {of}") from None
        if digest(data) != of:
            raise refuse.BlobDamaged(f"the content of {of} is damaged on disk: push it again from its source")
        return data

    def write(self, data: bytes) -> str:
        """Keep the content; gives its digest. A damaged one is replaced."""
        found = digest(data)
        file = self.content(found)
        if not file.exists() or digest(file.read_bytes()) != found:
            write_whole(file, data)
        return found


class Repository:
    """One repository."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self.folder = store.root / "repositories" / name

    # blobs

    def link(self, of: str) -> None:
        """The repository has the blob from now on."""
        write_whole(self.folder / "_blobs" / _hex(of), b"")

    def has_blob(self, of: str) -> bool:
        """Whether the repository has the blob."""
        return (self.folder / "_blobs" / _hex(of)).exists() and self.store.content(of).exists()

    def blob(self, of: str) -> bytes:
        """The blob's bytes; BLOB_UNKNOWN, or an error when they are damaged."""
        if not self.has_blob(of):
            raise refuse.BlobUnknown(f"{self.name} has no blob {of}")
        return self.store.read(of)

    def write_blob(self, data: bytes) -> str:
        """Keep a blob; gives its digest."""
        found = self.store.write(data)
        self.link(found)
        return found

    # manifests and tags

    def manifest(self, reference: str) -> Manifest:
        """The manifest that a tag or digest names."""
        found = reference if is_digest(reference) else self._tagged(reference)
        kind = self.folder / "_manifests" / _hex(found)
        if not kind.exists():
            raise refuse.ManifestUnknown(f"{self.name} has no manifest {reference}")
        return Manifest(self.store.read(found), kind.read_text(encoding="ascii"))

    def write_manifest(self, manifest: Manifest, reference: str) -> None:
        """Keep a manifest whose content is all there, under its digest or a tag. Tags do not move."""
        if len(manifest.content) > LARGEST_MANIFEST:
            raise refuse.TooLarge(f"a manifest over {LARGEST_MANIFEST} bytes")
        if is_digest(reference) and manifest.digest != reference:
            raise refuse.DigestInvalid(f"the manifest is {manifest.digest}, not {reference}")
        self._check(manifest)
        if not is_digest(reference):
            self._check_tag(reference, manifest.digest)
        self.store.write(manifest.content)
        write_whole(self.folder / "_manifests" / _hex(manifest.digest), manifest.media_type.encode())
        if manifest.subject:
            listed = json.dumps(manifest.descriptor.to_json()).encode()
            write_whole(self.folder / "_referrers" / _hex(manifest.subject.digest) / _hex(manifest.digest), listed)
        if not is_digest(reference):
            write_whole(self.folder / "_tags" / reference, manifest.digest.encode())

    def tags(self) -> list[str]:
        """Every tag, sorted; NAME_UNKNOWN when there is no such repository."""
        if not self.folder.exists():
            raise refuse.NameUnknown(f"there is no repository {self.name}")
        return _names(self.folder / "_tags")

    def referrers(self, of: str) -> list[dict[str, Any]]:
        """Descriptors of the manifests whose subject is the digest."""
        folder = self.folder / "_referrers" / _hex(of)
        return [json.loads((folder / name).read_bytes()) for name in _names(folder)]

    def _tagged(self, tag: str) -> str:
        try:
            return (self.folder / "_tags" / _tag(tag)).read_text(encoding="ascii")
        except FileNotFoundError:
            raise refuse.ManifestUnknown(f"{self.name} has no tag {tag}") from None

    def _check_tag(self, tag: str, wanted: str) -> None:
        file = self.folder / "_tags" / _tag(tag)
        present = file.read_text(encoding="ascii") if file.exists() else wanted
        if present != wanted and not MUTABLE.fullmatch(tag):
            raise refuse.TagImmutable(f"{self.name}:{tag} names {present} and tags are immutable: choose another tag for {wanted}")

    def _check(self, manifest: Manifest) -> None:
        """MANIFEST_INVALID or MANIFEST_BLOB_UNKNOWN, unless this can be a manifest of this repository."""
        try:
            said = manifest.parsed.get("mediaType", manifest.media_type)
            if manifest.media_type not in MEDIA_TYPES or said != manifest.media_type:
                raise refuse.ManifestInvalid(
                    f"media type {manifest.media_type!r}, mediaType {said!r}: they must be equal, one of {MEDIA_TYPES}"
                )
            missing = self._missing(manifest)
            _ = manifest.subject
        except ImageUnsupported as error:
            raise refuse.ManifestInvalid(str(error)) from error
        if missing:
            raise refuse.ManifestBlobUnknown(
                f"{self.name} lacks {', '.join(one.digest for one in missing)}: push content before its manifest"
            )

    def _missing(self, manifest: Manifest) -> list[Descriptor]:
        if manifest.media_type in (OCI_INDEX, DOCKER_INDEX):
            return [one for one in manifest.manifests if not (self.folder / "_manifests" / _hex(one.digest)).exists()]
        return [one for one in (manifest.config, *manifest.layers) if not self.has_blob(one.digest)]


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith(".")) if folder.exists() else []


def _tag(text: str) -> str:
    if not TAG.fullmatch(text):
        raise refuse.ManifestInvalid(f"{text!r} is no tag")
    return text


def _hex(of: str) -> str:
    if not is_digest(of):
        raise refuse.DigestInvalid(f"{of!r} is not a digest: sha256:<64 hex digits>")
    return of.removeprefix("sha256:")
