"""The local CA and the one server certificate of an embedded cloud."""

import fcntl
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=825)
"""Longest that Apple's and Go's verifiers accept for a leaf certificate."""
RENEW = timedelta(days=30)
"""A certificate with less than this left is replaced at the next start."""
NAMES = ("localhost", "*.localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "host.docker.internal")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ensure(folder: Path, addresses: Iterable[str] = ()) -> None:
    """`ca.pem`, `ca.key`, `server.pem`, `server.key` in the folder; what is missing or nearly over is made anew.

    `addresses`: IP addresses beside 127.0.0.1 and ::1, and names, that servers are called by.
    """
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        authority = _load(folder, "ca")
        if authority is None:
            authority = _new_authority()
            _store(folder, "ca", authority)
            (folder / "server.pem").unlink(missing_ok=True)
        if _load(folder, "server") is None:
            _store(folder, "server", _new_server(authority, ["127.0.0.1", "::1", *addresses]))


def _load(folder: Path, name: str) -> Pair | None:
    """The stored pair, or None when it is missing, torn or nearly over."""
    try:
        certificate = x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        return None
    return Pair(certificate, key) if certificate.not_valid_after_utc - datetime.now(UTC) > RENEW else None


def _store(folder: Path, name: str, pair: Pair) -> None:
    key = pair.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _replace(folder / f"{name}.key", key, 0o600)
    _replace(folder / f"{name}.pem", pair.certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _replace(file: Path, content: bytes, mode: int) -> None:
    draft = file.with_name(f".{file.name}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        out.write(content)
    draft.replace(file)


def _builder(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _new_authority() -> Pair:
    """A CA with the extensions that OpenSSL 3 (strict) and Go insist on."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("edgeloop local CA", key).issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edgeloop local CA")]))
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def _general(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _new_server(authority: Pair, addresses: list[str]) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in NAMES]
    names += [_general(address) for address in addresses]
    certificate = (
        _builder("localhost", key)
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(certificate, key)
