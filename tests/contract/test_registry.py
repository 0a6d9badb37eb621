"""One set of tests, two targets: the stand-in registry, and a real one named by EDGELOOP_TEST_REGISTRY (its URL).

The real one may need EDGELOOP_TEST_REGISTRY_USER, EDGELOOP_TEST_REGISTRY_PASSWORD and EDGELOOP_TEST_REGISTRY_CA (a PEM file).
"""

import json
import os
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from include.oci import bundle, predicates
from include.oci.append import append
from include.oci.client import Registry, fallback_tag
from include.oci.copy import copy
from include.oci.exceptions import (
    AccessDenied,
    DigestMismatch,
    NotFound,
    OciError,
    RegistryRefused,
    TagTaken,
    Tampered,
    Unsigned,
    WrongKey,
)
from include.oci.layer import layer
from include.oci.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest, compact
from include.oci.reference import Reference, digest, short
from include.oci.sign import attest, sign
from include.oci.tag import tag
from include.oci.upload import CHUNK, Upload
from include.oci.verify import bundles, verify
from include.standin import container_registry
from include.standin.home import Home
from include.standin.serving import Background, create_app

REAL = os.environ.get("EDGELOOP_TEST_REGISTRY")


@dataclass(frozen=True)
class Target:
    """A registry under test."""

    url: str
    username: str | None
    password: str | None
    ca: str | None

    def registry(self, **changes: str) -> Registry:
        said = replace(self, **changes)
        return Registry(said.url, said.username, said.password, said.ca)


@pytest.fixture(scope="module")
def standin(home: Home) -> Iterator[Target]:
    app = create_app(home, container_registry.create(home, "releases"))
    with Background(app, home, home.port("releases")) as url:
        yield Target(url, home.identity.registry_user, home.identity.registry_password, str(home.ca))


@pytest.fixture(
    params=["stand-in", pytest.param("real", marks=[pytest.mark.registry, pytest.mark.skipif(not REAL, reason="names no registry")])]
)
def target(request: pytest.FixtureRequest) -> Target:
    if request.param == "stand-in":
        return request.getfixturevalue("standin")
    said = os.environ.get
    return Target(
        str(REAL), said("EDGELOOP_TEST_REGISTRY_USER"), said("EDGELOOP_TEST_REGISTRY_PASSWORD"), said("EDGELOOP_TEST_REGISTRY_CA")
    )


@pytest.fixture
def registry(target: Target) -> Iterator[Registry]:
    with target.registry() as found:
        yield found


@pytest.fixture
def fresh() -> str:
    """A prefix of repositories that no test used before."""
    return f"edgeloop-test/{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def push_base(registry: Registry, repository: str, said: bytes = b"base") -> Manifest:
    below = layer({"/runtime.json": said})
    config = compact(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/usr/bin"], "Labels": {"edgeloop.runtime": "1"}},
            "rootfs": {"type": "layers", "diff_ids": [below.diff_id]},
        }
    )
    registry.write_blob(repository, config)
    registry.write_blob(repository, below.data)
    manifest = Manifest(
        compact(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": Descriptor(OCI_CONFIG, digest(config), len(config)).to_json(),
                "layers": [below.descriptor.to_json()],
            }
        ),
        OCI_MANIFEST,
    )
    registry.write_manifest(repository, manifest, "1")
    return manifest


def push_model(registry: Registry, fresh: str, model: bytes = b"onnx") -> tuple[str, Manifest]:
    push_base(registry, f"{fresh}/base")
    repository = f"{fresh}/model"
    image = append(
        registry,
        Reference("", f"{fresh}/base", "1"),
        registry,
        repository,
        layer({"/model/model.onnx": model, "/model/contract.json": b"{}"}),
        {"edgeloop.workload": "wind_power", "edgeloop.model": digest(model)},
        "model",
    )
    return repository, image


def test_the_login_is_asked_for(target: Target, registry: Registry) -> None:
    registry.ping()
    if target.password is None:
        pytest.skip("the registry has no login")
    with target.registry(password="wrong") as wrong, pytest.raises(AccessDenied, match="401"):
        wrong.tags("edgeloop/any")


def test_a_blob_comes_back_as_it_was_and_from_an_offset(registry: Registry, fresh: str) -> None:
    data = secrets.token_bytes(100_000)
    name = registry.write_blob(fresh, data)
    assert registry.has_blob(fresh, name)
    assert registry.blob(fresh, name) == data
    assert b"".join(registry.read_blob(fresh, name, 99_990)) == data[99_990:]
    assert not registry.has_blob(fresh, digest(b"another"))
    with pytest.raises(NotFound, match="BLOB_UNKNOWN"):
        registry.blob(fresh, digest(b"another"))


def test_a_blob_that_is_not_its_digest_is_refused(registry: Registry, fresh: str) -> None:
    with pytest.raises(RegistryRefused, match="DIGEST_INVALID"):
        registry.send_blob(fresh, digest(b"asked"), 4, lambda start: iter([b"sent"[start:]]))
    assert not registry.has_blob(fresh, digest(b"asked"))


def test_a_large_blob_goes_up_in_chunks(registry: Registry, fresh: str) -> None:
    data = secrets.token_bytes(2 * CHUNK + 12_345)
    name = registry.write_blob(fresh, data)
    assert registry.blob(fresh, name) == data


def test_a_cut_upload_goes_on_where_it_was(registry: Registry, fresh: str) -> None:
    data = secrets.token_bytes(2 * CHUNK + 5)
    cuts, asked = [], []

    def source(start: int) -> Iterator[bytes]:
        asked.append(start)
        yield data[start : start + CHUNK]
        if not cuts:
            cuts.append(start)
            return  # the source ends too early, once
        yield data[start + CHUNK :]

    registry.send_blob(fresh, digest(data), len(data), source)
    assert asked == [0, CHUNK], "the first chunk is not sent again"
    assert registry.blob(fresh, digest(data)) == data


def test_a_chunk_in_the_wrong_place_is_refused(standin: Target, fresh: str) -> None:
    """The specification says so; Docker's registry 2.8 takes it, and refuses the digest in the end."""
    with standin.registry() as registry:
        upload = Upload(registry.wire, fresh, digest(b"x"), 1, lambda _: iter([b"x"]))
        place = upload._start(None)
        assert place is not None
        with pytest.raises(RegistryRefused) as refused:
            upload._patch(place, 10, b"x")
        assert refused.value.status == 416


def test_a_layer_is_appended_and_the_base_mounted(registry: Registry, fresh: str) -> None:
    repository, image = push_model(registry, fresh)
    base = registry.manifest(f"{fresh}/base", "1")
    found = registry.manifest(repository, image.digest)
    assert [one.digest for one in found.layers][:-1] == [one.digest for one in base.layers]
    assert len(found.layers) == len(base.layers) + 1
    config = json.loads(registry.blob(repository, found.config.digest))
    assert config["config"]["Labels"] == {"edgeloop.runtime": "1", "edgeloop.workload": "wind_power", "edgeloop.model": digest(b"onnx")}
    assert len(config["rootfs"]["diff_ids"]) == 2
    assert registry.has_blob(repository, base.layers[0].digest)


def test_the_same_model_gives_the_same_digest(registry: Registry, fresh: str) -> None:
    _, first = push_model(registry, fresh)
    _, second = push_model(registry, fresh)
    _, other = push_model(registry, fresh, b"another model")
    assert first.digest == second.digest != other.digest


def test_a_tag_never_moves(registry: Registry, fresh: str) -> None:
    repository, image = push_model(registry, fresh)
    _, other = push_model(registry, fresh, b"another model")
    tag(registry, repository, "v-1", image.digest)
    tag(registry, repository, "v-1", image.digest)
    with pytest.raises(TagTaken) as taken:
        tag(registry, repository, "v-1", other.digest)
    assert image.digest in str(taken.value)
    assert other.digest in str(taken.value)
    assert registry.resolve(repository, "v-1") == image.digest
    assert registry.tags(repository) == ["v-1"]


def test_a_manifest_without_its_content_is_refused(registry: Registry, fresh: str) -> None:
    absent = Descriptor(OCI_CONFIG, digest(b"absent"), 6)
    registry.write_blob(fresh, b"{}")
    manifest = Manifest(compact({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": absent.to_json(), "layers": []}), OCI_MANIFEST)
    with pytest.raises(RegistryRefused, match="MANIFEST_BLOB_UNKNOWN"):
        registry.write_manifest(fresh, manifest, "broken")
    assert registry.resolve(fresh, "broken") is None


def test_signed_and_verified(registry: Registry, fresh: str, key: ec.EllipticCurvePrivateKey) -> None:
    repository, image = push_model(registry, fresh)
    with pytest.raises(Unsigned, match="carries no signature"):
        verify(registry, repository, image.digest, public(key))
    first = sign(registry, repository, image.digest, key)
    build = predicates.Build(
        "wind_power", digest(b"snapshot"), "job-1", "2014", (predicates.Source("model", "azureml://x", digest(b"onnx")),)
    )
    attest(registry, repository, image.digest, key, bundle.PROVENANCE, predicates.provenance(build))
    attest(registry, repository, image.digest, key, bundle.SBOM, predicates.sbom("wind-power", digest(b"onnx"), {"numpy": "2.4.6"}))
    assert sign(registry, repository, image.digest, key) == first, "a second signature adds nothing"
    assert len(registry.referrers(repository, image.digest)) == 3
    found = verify(registry, repository, image.digest, public(key))
    assert found.provenance is not None
    assert found.provenance["buildDefinition"]["externalParameters"]["snapshot"] == digest(b"snapshot")
    assert found.sbom is not None
    assert found.sbom["components"][1]["purl"] == "pkg:pypi/numpy@2.4.6"


def test_another_key_is_refused(registry: Registry, fresh: str, key: ec.EllipticCurvePrivateKey) -> None:
    repository, image = push_model(registry, fresh)
    other = ec.generate_private_key(ec.SECP256R1())
    sign(registry, repository, image.digest, other)
    with pytest.raises(WrongKey, match="another key"):
        verify(registry, repository, image.digest, public(key))
    sign(registry, repository, image.digest, key)
    verify(registry, repository, image.digest, public(key))


def test_an_attestation_alone_is_no_signature(registry: Registry, fresh: str, key: ec.EllipticCurvePrivateKey) -> None:
    repository, image = push_model(registry, fresh)
    attest(registry, repository, image.digest, key, bundle.SBOM, {"bomFormat": "CycloneDX"})
    with pytest.raises(Unsigned):
        verify(registry, repository, image.digest, public(key))


def test_a_signature_of_another_image_is_refused(registry: Registry, fresh: str, key: ec.EllipticCurvePrivateKey) -> None:
    from include.oci.referrers import artifact

    repository, image = push_model(registry, fresh)
    _, evil = push_model(registry, fresh, b"evil model")
    sign(registry, repository, image.digest, key)
    _, stolen = next(bundles(registry, repository, image.digest))
    artifact(registry, repository, evil.descriptor, stolen, bundle.MEDIA_TYPE, {})
    with pytest.raises(Tampered, match="is about"):
        verify(registry, repository, evil.digest, public(key))


def test_a_changed_signature_is_refused(registry: Registry, fresh: str, key: ec.EllipticCurvePrivateKey) -> None:
    from include.oci.referrers import artifact

    repository, image = push_model(registry, fresh)
    made = json.loads(bundle.make(key, image.digest, bundle.SIGNATURE, {}))
    other = json.loads(bundle.make(key, image.digest, bundle.SIGNATURE, {"changed": True}))
    made["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"]
    artifact(registry, repository, image.descriptor, compact(made), bundle.MEDIA_TYPE, {})
    with pytest.raises(Tampered, match="changed after it was signed"):
        verify(registry, repository, image.digest, public(key))


def test_copied_with_what_refers_to_it(registry: Registry, fresh: str, key: ec.EllipticCurvePrivateKey) -> None:
    repository, image = push_model(registry, fresh)
    sign(registry, repository, image.digest, key)
    attest(registry, repository, image.digest, key, bundle.SBOM, {"bomFormat": "CycloneDX"})
    released = f"{fresh}/released"
    name = f"v-{short(image.digest)}"
    for _ in range(2):
        copied = copy(registry, repository, image.digest, registry, released, name)
        assert copied.digest == image.digest
    assert registry.resolve(released, name) == image.digest
    assert len(registry.referrers(released, image.digest)) == 2
    assert verify(registry, released, image.digest, public(key)).sbom == {"bomFormat": "CycloneDX"}


def test_a_copy_does_not_move_a_tag(registry: Registry, fresh: str) -> None:
    repository, image = push_model(registry, fresh)
    _, other = push_model(registry, fresh, b"another model")
    copy(registry, repository, image.digest, registry, f"{fresh}/released", "v-1")
    with pytest.raises(TagTaken, match="is not moved"):
        copy(registry, repository, other.digest, registry, f"{fresh}/released", "v-1")
    assert registry.resolve(f"{fresh}/released", other.digest) is None, "nothing was sent"


def test_an_index_is_copied_whole(registry: Registry, fresh: str) -> None:
    repository, image = push_model(registry, fresh)
    said = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [image.descriptor.to_json()]}
    index = Manifest(compact(said), OCI_INDEX)
    registry.write_manifest(repository, index, "all")
    copy(registry, repository, index.digest, registry, f"{fresh}/released", "all")
    assert registry.resolve(f"{fresh}/released", image.digest) == image.digest


def test_unknown_names_are_not_found(registry: Registry, fresh: str) -> None:
    assert registry.tags(fresh) == []
    assert registry.resolve(fresh, "v-1") is None
    assert registry.referrers(fresh, digest(b"nothing")) == []
    with pytest.raises(NotFound):
        registry.manifest(fresh, digest(b"nothing"))


class TestBetweenRegistries:
    """The stand-in as source; the target is another registry, which may have no referrers API."""

    def test_base_layers_travel_once_and_the_image_is_the_same(self, standin: Target, target: Target, fresh: str) -> None:
        with standin.registry() as source, target.registry() as registry:
            repository, image = push_model(source, fresh)
            copied = copy(source, repository, image.digest, registry, f"{fresh}/far", "v-1")
            assert registry.manifest(f"{fresh}/far", "v-1").content == copied.content == image.content

    def test_a_large_layer_is_copied_in_pieces(self, standin: Target, target: Target, fresh: str) -> None:
        with standin.registry() as source, target.registry() as registry:
            repository, image = push_model(source, fresh, secrets.token_bytes(CHUNK + 100_000))
            copy(source, repository, image.digest, registry, f"{fresh}/far", "v-1")
            assert registry.blob(f"{fresh}/far", image.layers[-1].digest)

    def test_signatures_travel(self, standin: Target, target: Target, fresh: str, key: ec.EllipticCurvePrivateKey) -> None:
        with standin.registry() as source, target.registry() as registry:
            repository, image = push_model(source, fresh)
            sign(source, repository, image.digest, key)
            copy(source, repository, image.digest, registry, f"{fresh}/far", "v-1")
            assert verify(registry, f"{fresh}/far", image.digest, public(key)).digest == image.digest


class TestTampered:
    """What a disk or a person changes behind the stand-in's back is not served, and not run."""

    def test_a_changed_layer(self, standin: Target, home: Home, fresh: str) -> None:
        with standin.registry() as registry:
            repository, image = push_model(registry, fresh)
            wanted = image.layers[-1].digest
            file = home.folder("container_registry") / "releases" / "blobs" / wanted.removeprefix("sha256:")
            whole = file.read_bytes()
            file.write_bytes(b"changed" + whole)
            with pytest.raises(RegistryRefused, match="DIGEST_INVALID"):
                registry.blob(repository, wanted)
            assert not registry.has_blob(repository, wanted)
            registry.write_blob(repository, whole)
            assert registry.blob(repository, wanted) == whole

    def test_a_registry_that_lies(self, standin: Target, fresh: str, key: ec.EllipticCurvePrivateKey) -> None:
        """A registry that serves other bytes than asked for: the client notices by itself."""
        with standin.registry() as registry:
            repository, image = push_model(registry, fresh)
            _, evil = push_model(registry, fresh, b"evil")
            sign(registry, repository, image.digest, key)
            honest = registry.wire.request

            def lying(method: str, path, **rest):  # type: ignore[no-untyped-def]
                asked = str(path)
                return honest(method, asked.replace(image.digest, evil.digest) if "/manifests/" in asked else path, **rest)

            registry.wire.request = lying  # type: ignore[method-assign]
            with pytest.raises(DigestMismatch, match="is damaged"):
                registry.manifest(repository, image.digest)
            with pytest.raises(Tampered, match="is not what its digest says"):
                verify(registry, repository, image.digest, public(key))


def test_errors_have_one_root() -> None:
    assert issubclass(TagTaken, OciError)
    assert fallback_tag(digest(b"")).startswith("sha256-")
