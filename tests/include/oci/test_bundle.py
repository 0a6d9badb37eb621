import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from include.oci import bundle
from include.oci.exceptions import NotTrusted, Tampered, WrongKey
from include.oci.manifest import compact
from include.oci.reference import digest

KEY = ec.generate_private_key(ec.SECP256R1())
IMAGE = digest(b"image")


def made(**predicate: Any) -> dict[str, Any]:
    return json.loads(bundle.make(KEY, IMAGE, bundle.PROVENANCE, predicate))


def test_what_was_said_comes_back() -> None:
    found = bundle.opened(bundle.make(KEY, IMAGE, bundle.PROVENANCE, {"a": [1, {"b": "ü"}]}), KEY.public_key(), IMAGE)
    assert found == bundle.Statement((IMAGE,), bundle.PROVENANCE, {"a": [1, {"b": "ü"}]})


def test_another_key() -> None:
    with pytest.raises(WrongKey, match="another key"):
        bundle.opened(compact(made()), ec.generate_private_key(ec.SECP256R1()).public_key(), IMAGE)


def test_another_image() -> None:
    with pytest.raises(Tampered, match="is about"):
        bundle.opened(compact(made()), KEY.public_key(), digest(b"another"))


@settings(max_examples=80, deadline=None)
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_changed_bit_of_what_is_signed(at: int, bit: int) -> None:
    said = made(a=1)
    payload = bytearray(base64.b64decode(said["dsseEnvelope"]["payload"]))
    payload[at % len(payload)] ^= 1 << bit
    said["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    with pytest.raises(Tampered, match="changed after it was signed"):
        bundle.opened(compact(said), KEY.public_key(), IMAGE)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.text(max_size=5),
            lambda x: st.dictionaries(
                st.sampled_from(["dsseEnvelope", "payload", "payloadType", "signatures", "sig"]), x | st.lists(x, max_size=2), max_size=4
            ),
        ).map(compact),
    )
)
def test_whatever_else_is_attached_is_refused(data: bytes) -> None:
    with pytest.raises(NotTrusted):
        bundle.opened(data, KEY.public_key(), IMAGE)


def test_a_payload_of_another_type() -> None:
    said = made()
    said["dsseEnvelope"]["payloadType"] = "text/plain"
    with pytest.raises(Tampered, match="changed after"):
        bundle.opened(compact(said), KEY.public_key(), IMAGE)


def test_keys_that_cannot_sign_are_not_shown() -> None:
    secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
    with pytest.raises(NotTrusted, match="not a PEM private key") as refused:
        bundle.private_key(secret)
    assert "c2VjcmV0" not in str(refused.value)
    assert refused.value.__cause__ is None
    wrong = rsa.generate_private_key(65537, 2048)
    with pytest.raises(NotTrusted, match="not an elliptic curve key"):
        bundle.private_key(wrong.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(NotTrusted, match="not an elliptic curve key"):
        bundle.public_key(wrong.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(NotTrusted, match=r"cosign\.pub"):
        bundle.public_key("nothing")
