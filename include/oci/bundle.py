"""Sigstore bundles signed by a key: a DSSE envelope over an in-toto statement. What `cosign verify --key` reads, offline.

Formats: sigstore protobuf-specs (bundle v0.3), DSSE v1, in-toto attestation v1.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key, load_pem_public_key

from include.oci.exceptions import NotTrusted, Tampered, WrongKey
from include.oci.manifest import compact

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
"""Predicate type of a plain signature: the predicate is empty."""
PROVENANCE = "https://slsa.dev/provenance/v1"
SBOM = "https://cyclonedx.org/bom"


def private_key(pem: str | bytes) -> ec.EllipticCurvePrivateKey:
    """The signing key; NotTrusted when the PEM holds none. The PEM is in no message."""
    try:
        found = load_pem_private_key(pem.encode() if isinstance(pem, str) else pem, None)
    except (ValueError, TypeError):
        raise NotTrusted("the signing key is not a PEM private key without a passphrase: enter one (ECDSA P-256)") from None
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise NotTrusted("the signing key is not an elliptic curve key: use ECDSA P-256")
    return found


def public_key(pem: str | bytes) -> ec.EllipticCurvePublicKey:
    """The key that releases are verified with; NotTrusted when the PEM holds none."""
    try:
        found = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
    except (ValueError, TypeError) as error:
        raise NotTrusted("the trusted key is not a PEM public key: use the cosign.pub of the key that signs") from error
    if not isinstance(found, ec.EllipticCurvePublicKey):
        raise NotTrusted("the trusted key is not an elliptic curve key: use ECDSA P-256")
    return found


def hint(key: ec.EllipticCurvePublicKey) -> str:
    """How a bundle says which key it is by: base64 of the SHA-256 of the key's DER."""
    return base64.b64encode(hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()


@dataclass(frozen=True)
class Statement:
    """What is said of an image: a predicate of a type."""

    subjects: tuple[str, ...]
    """Digests."""
    predicate_type: str
    predicate: dict[str, Any]


def make(key: ec.EllipticCurvePrivateKey, digest: str, predicate_type: str, predicate: dict[str, Any]) -> bytes:
    """A bundle: the predicate about the digest, signed."""
    statement = {
        "_type": STATEMENT,
        "subject": [{"digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    payload = compact(statement)
    signature = key.sign(_signed(PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256()))
    envelope = {"payload": _base64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [{"sig": _base64(signature)}]}
    material = {"publicKey": {"hint": hint(key.public_key())}}
    return compact({"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope})


def opened(data: bytes, key: ec.EllipticCurvePublicKey, digest: str) -> Statement:
    """The bundle's statement, if the key signed it and it is about the digest. WrongKey or Tampered otherwise."""
    try:
        said = json.loads(data)
        envelope = said["dsseEnvelope"]
        kind, payload = str(envelope["payloadType"]), base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"]]
        by = ((said.get("verificationMaterial") or {}).get("publicKey") or {}).get("hint")
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise Tampered(f"a signature of {digest} is not a sigstore bundle with a DSSE envelope") from error
    if not any(_valid(key, one, _signed(kind, payload)) for one in signatures):
        if by == hint(key):
            raise Tampered(f"a signature of {digest} does not fit its content: it was changed after it was signed")
        raise WrongKey(f"{digest} is signed by another key than the trusted one ({hint(key)}): sign it with the environment's key")
    statement = _statement(kind, payload, digest)
    if digest not in statement.subjects:
        raise Tampered(f"a signature attached to {digest} is about {', '.join(statement.subjects) or 'nothing'}")
    return statement


def _statement(kind: str, payload: bytes, digest: str) -> Statement:
    try:
        if kind != PAYLOAD_TYPE:
            raise ValueError(f"payload of type {kind}")
        said = json.loads(payload)
        subjects = tuple(f"sha256:{one['digest']['sha256']}" for one in said["subject"])
        predicate = said.get("predicate") or {}
        if not isinstance(predicate, dict):
            raise ValueError("a predicate that is no object")
        return Statement(subjects, str(said["predicateType"]), predicate)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Tampered(f"a signature of {digest} is not about an in-toto statement") from error


def _valid(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _signed(kind: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what the signature really covers."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
