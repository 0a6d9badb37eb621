"""Sign an image, or attest something of it: a sigstore bundle by key, attached as an OCI referrer."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from include.oci import bundle
from include.oci.client import Registry
from include.oci.exceptions import NotTrusted
from include.oci.manifest import Descriptor
from include.oci.referrers import artifact
from include.oci.verify import bundles


def sign(registry: Registry, repository: str, digest: str, key: ec.EllipticCurvePrivateKey) -> Descriptor:
    """Sign the digest; gives the signature's descriptor."""
    return attest(registry, repository, digest, key, bundle.SIGNATURE, {})


def attest(
    registry: Registry, repository: str, digest: str, key: ec.EllipticCurvePrivateKey, predicate_type: str, predicate: dict[str, Any]
) -> Descriptor:
    """Attach the predicate about the digest, signed; gives the referrer's descriptor.

    Each ECDSA signature differs from the last, so a second call first looks for what this key already said and gives that.
    """
    present = _said(registry, repository, digest, key.public_key(), predicate_type, predicate)
    if present:
        return present
    subject = registry.manifest(repository, digest).descriptor
    annotations = {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": predicate_type}
    data = bundle.make(key, digest, predicate_type, predicate)
    return artifact(registry, repository, subject, data, bundle.MEDIA_TYPE, annotations)


def _said(
    registry: Registry, repository: str, digest: str, key: ec.EllipticCurvePublicKey, predicate_type: str, predicate: dict[str, Any]
) -> Descriptor | None:
    for referrer, data in bundles(registry, repository, digest):
        try:
            statement = bundle.opened(data, key, digest)
        except NotTrusted:
            continue  # somebody else's, or damaged: ours is added beside it
        if statement.predicate_type == predicate_type and statement.predicate == predicate:
            return referrer
    return None
