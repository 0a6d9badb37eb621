"""Descriptors and manifests, as the OCI image specification 1.1 has them. A manifest is its bytes: they carry its digest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from include.oci.exceptions import ImageUnsupported
from include.oci.reference import digest, is_digest

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
IMAGES = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_INDEX)


def compact(value: Any) -> bytes:
    """JSON without blanks, keys in the order given: the same value gives the same bytes. ValueError for NaN and infinity."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


@dataclass(frozen=True)
class Descriptor:
    """What a manifest says of a piece of content: its type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, said: Any) -> "Descriptor":
        """From JSON; ImageUnsupported when it is none."""
        try:
            found = cls(said["mediaType"], said["digest"], int(said["size"]), said.get("artifactType"), said.get("annotations") or {})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ImageUnsupported(f"a manifest names content without mediaType, digest and size: {str(said)[:200]}") from error
        if not is_digest(found.digest) or found.size < 0:
            raise ImageUnsupported(f"a manifest names content by {found.digest!r} with size {found.size}: only sha256 digests are taken")
        return found

    def to_json(self) -> dict[str, Any]:
        """As a manifest spells it; what is empty is left out."""
        said: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.artifact_type:
            said["artifactType"] = self.artifact_type
        if self.annotations:
            said["annotations"] = dict(self.annotations)
        return said


@dataclass(frozen=True)
class Manifest:
    """A manifest or index: raw bytes and their type."""

    content: bytes
    media_type: str

    @cached_property
    def digest(self) -> str:
        """`sha256:<hex>` of the bytes."""
        return digest(self.content)

    @cached_property
    def parsed(self) -> dict[str, Any]:
        """The JSON object; ImageUnsupported when it is none."""
        try:
            found = json.loads(self.content)
        except ValueError as error:
            raise ImageUnsupported(f"the manifest {self.digest} is not JSON") from error
        if not isinstance(found, dict):
            raise ImageUnsupported(f"the manifest {self.digest} is not a JSON object")
        return found

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests."""
        return self.media_type in INDEXES or "manifests" in self.parsed

    @property
    def config(self) -> Descriptor:
        """The config of an image or artifact."""
        return Descriptor.read(self.parsed.get("config"))

    @property
    def layers(self) -> list[Descriptor]:
        """The layers of an image, lowest first."""
        return [Descriptor.read(one) for one in self.parsed.get("layers") or ()]

    @property
    def manifests(self) -> list[Descriptor]:
        """The manifests of an index."""
        return [Descriptor.read(one) for one in self.parsed.get("manifests") or ()]

    @property
    def subject(self) -> Descriptor | None:
        """What this manifest refers to, for a referrer."""
        said = self.parsed.get("subject")
        return Descriptor.read(said) if said else None

    @property
    def descriptor(self) -> Descriptor:
        """How others name it; of a referrer with artifact type and annotations, as a referrers list shows them."""
        kind = self.parsed.get("artifactType") or (self.parsed.get("config") or {}).get("mediaType")
        if not self.subject:
            return Descriptor(self.media_type, self.digest, len(self.content))
        return Descriptor(self.media_type, self.digest, len(self.content), kind, self.parsed.get("annotations") or {})
