"""The key pair that signs the releases of an embedded cloud: ECDSA on P-256, as cosign makes them."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from include.standin import private
from include.standin.home import Home


def private_key(home: Home) -> Path:
    """`signing/cosign.key` (PEM, PKCS 8); made with `signing/cosign.pub` when missing."""
    file = home.folder("signing") / "cosign.key"
    if not file.exists():
        _make(file)
    return file


def public_key(home: Home) -> Path:
    """`signing/cosign.pub` (PEM), always that of the private key."""
    pair = private_key(home)
    file = pair.with_suffix(".pub")
    if not file.exists():
        key = serialization.load_pem_private_key(pair.read_bytes(), None)
        said = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        private.write(file, said, 0o644)
    return file


def _make(file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    said = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.with_suffix(".pub").unlink(missing_ok=True)
    private.write(file, said)
