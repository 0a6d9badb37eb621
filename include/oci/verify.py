"""Is this digest signed by our key, and what is attested of it? Offline: the registry and the public key are all it takes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from include.oci import bundle
from include.oci.client import Registry
from include.oci.exceptions import DigestMismatch, NotTrusted, Tampered, Unsigned, WrongKey
from include.oci.manifest import Descriptor

MOST = 64
"""Bundles looked at; more are an attack on the verifier."""
LARGEST = 4 * 1024 * 1024
"""Bytes of a bundle; an SBOM of some thousand packages has less."""


@dataclass(frozen=True)
class Verified:
    """An image that our key signed."""

    digest: str
    statements: tuple[bundle.Statement, ...]

    def predicate(self, kind: str) -> dict[str, Any] | None:
        """What is attested by a predicate of this type, None when nothing is."""
        return next((one.predicate for one in self.statements if one.predicate_type == kind), None)

    @property
    def provenance(self) -> dict[str, Any] | None:
        """The SLSA provenance."""
        return self.predicate(bundle.PROVENANCE)

    @property
    def sbom(self) -> dict[str, Any] | None:
        """The CycloneDX SBOM."""
        return self.predicate(bundle.SBOM)


def verify(registry: Registry, repository: str, digest: str, public_key_pem: str | bytes) -> Verified:
    """The image's verified statements. Unsigned, WrongKey or Tampered when our key did not sign this digest.

    One good signature is enough: anyone who may push can attach bad ones, and must not stop a release by it.
    """
    key = bundle.public_key(public_key_pem)
    try:
        registry.manifest(repository, digest)
    except DigestMismatch as changed:
        raise Tampered(f"{registry.host}/{repository}@{digest} is not what its digest says: {changed}") from changed
    statements, refused = _opened(registry, repository, digest, key)
    if any(one.predicate_type == bundle.SIGNATURE for one in statements):
        return Verified(digest, tuple(statements))
    raise _reason(registry, repository, digest, refused)


def bundles(registry: Registry, repository: str, digest: str) -> Iterator[tuple[Descriptor, bytes]]:
    """The sigstore bundles that are attached to the digest: the referrer, and the bundle's bytes."""
    found = [one for one in registry.referrers(repository, digest) if one.artifact_type == bundle.MEDIA_TYPE]
    for referrer in sorted(found, key=lambda one: one.digest)[:MOST]:
        for layer in registry.manifest(repository, referrer.digest).layers[:1]:
            yield referrer, registry.blob(repository, layer.digest, LARGEST)


def _opened(
    registry: Registry, repository: str, digest: str, key: ec.EllipticCurvePublicKey
) -> tuple[list[bundle.Statement], list[NotTrusted]]:
    statements: list[bundle.Statement] = []
    refused: list[NotTrusted] = []
    try:
        for _, data in bundles(registry, repository, digest):
            try:
                statements.append(bundle.opened(data, key, digest))
            except NotTrusted as reason:
                refused.append(reason)
    except DigestMismatch as changed:
        refused.append(Tampered(f"a signature of {digest} is not what its digest says: {changed}"))
    return statements, refused


def _reason(registry: Registry, repository: str, digest: str, refused: list[NotTrusted]) -> NotTrusted:
    """The gravest of what was found."""
    for kind in (Tampered, WrongKey):
        for reason in refused:
            if isinstance(reason, kind):
                return reason
    return Unsigned(f"{registry.host}/{repository}@{digest} carries no signature: promote it through the promote DAG, which signs it")
