"""Package, sign and copy against two stand-in registries, with the ledger and the job's outputs in Azurite."""

import hashlib
import io
import json
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from edgeloop import ledger
from edgeloop.exceptions import ConnectionIncomplete, NothingToDo, Refused, UnexpectedReply
from edgeloop.hooks.container_registry import ContainerRegistryHook
from edgeloop.hooks.lake import LakeHook
from edgeloop.stages import release
from include.domain import naming
from include.oci.exceptions import TagTaken
from include.oci.verify import verify
from include.settings import CANDIDATES, RELEASES
from include.standin import container_registry, signing
from include.standin.home import Home
from include.standin.serving import Background, create_app

WORKLOAD = "wind_power"
REPOSITORY = naming.repository(WORKLOAD)


@pytest.fixture(scope="module")
def embedded(storage: Home, connections: dict[str, Any]) -> Iterator[Home]:
    with ExitStack() as running:
        for name in ("candidates", "releases"):
            app = create_app(storage, container_registry.create(storage, name))
            running.enter_context(Background(app, storage, storage.port(name)))
        yield storage


@pytest.fixture
def snapshot(embedded: Home) -> str:
    """A candidate that nobody packaged yet, with its job's outputs."""
    found = "sha256:" + hashlib.sha256(uuid.uuid4().bytes).hexdigest()
    job = f"wind-power-{found[7:19]}"
    model = f"onnx {found}".encode()
    digest = "sha256:" + hashlib.sha256(model).hexdigest()
    files = {
        "model.onnx": model,
        "contract.json": json.dumps({"workload": WORKLOAD, "snapshot": found, "model_digest": digest}).encode(),
        "golden.parquet": b"golden",
        "profile.json": b"{}",
        "model_card.md": b"# Card",
        "metrics.json": json.dumps({"rmse": 89.5, "baseline": {"name": "curve", "rmse": 94.4}}).encode(),
    }
    for name, data in files.items():
        LakeHook().write(f"{naming.job_folder(WORKLOAD, job)}/{name}", data)
    facts = {"snapshot": found, "job": job, "model_version": "1", "model_digest": digest, "window": "2014-01-01..2014-12-31"}
    ledger.record(WORKLOAD, found, "candidate", facts)
    ledger.record(WORKLOAD, found, "parity", {"largest_difference": 3e-7})
    ledger.record(WORKLOAD, found, "gate", {"verdict": "promote", "reasons": []})
    return found


def approve(snapshot: str, digest: str, outcome: str = "approved") -> None:
    ledger.record(WORKLOAD, snapshot, "approval", {"outcome": outcome, "digest": digest})


def registry(conn_id: str) -> Any:
    return ContainerRegistryHook(conn_id).registry


def test_the_image_is_the_base_and_the_model(snapshot: str) -> None:
    packaged = release.package(WORKLOAD, snapshot)
    candidates = ContainerRegistryHook(CANDIDATES)
    manifest = candidates.registry.manifest(REPOSITORY, packaged["digest"])
    base = candidates.registry.manifest(candidates.scoring_base.repository, candidates.scoring_base.target)
    assert [one.digest for one in manifest.layers[:-1]] == [one.digest for one in base.layers]
    data = candidates.registry.blob(REPOSITORY, manifest.layers[-1].digest)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        assert sorted(tar.getnames()) == [f"model/{name}" for name in sorted(release.MODEL_FILES)]
    labels = json.loads(candidates.registry.blob(REPOSITORY, manifest.config.digest))["config"]["Labels"]
    assert labels["edgeloop.snapshot"] == snapshot
    assert labels["edgeloop.model"] == ledger.read(WORKLOAD, snapshot, "candidate")["model_digest"]  # type: ignore[index]
    assert labels["edgeloop.runtime"] == "1"
    assert packaged["reference"] == f"{candidates.registry.host}/{REPOSITORY}@{packaged['digest']}"


def test_a_retry_gives_the_same_digest(snapshot: str) -> None:
    assert release.package(WORKLOAD, snapshot) == release.package(WORKLOAD, snapshot)
    assert ledger.read(WORKLOAD, snapshot, "package")["digest"].startswith("sha256:")  # type: ignore[index]


def test_from_candidate_to_champion(snapshot: str, embedded: Home) -> None:
    digest = release.package(WORKLOAD, snapshot)["digest"]
    signed = release.sign(WORKLOAD, snapshot, digest)
    ledger.record(WORKLOAD, snapshot, "gate", {"verdict": "promote", "reasons": []})  # the time of a rerun is not in the provenance
    assert release.sign(WORKLOAD, snapshot, digest) == signed, "signing again adds nothing"
    approve(snapshot, digest)
    released = release.copy(WORKLOAD, snapshot, digest)
    assert release.copy(WORKLOAD, snapshot, digest) == released
    found = verify(registry(RELEASES), REPOSITORY, digest, signing.public_key(embedded).read_bytes())
    assert found.provenance is not None
    definition = found.provenance["buildDefinition"]
    assert definition["externalParameters"] == {"workload": WORKLOAD, "snapshot": snapshot, "window": "2014-01-01..2014-12-31"}
    assert definition["internalParameters"]["metrics"]["rmse"] == 89.5
    assert definition["internalParameters"]["gate"] == {"verdict": "promote", "reasons": []}
    assert [one["name"] for one in definition["resolvedDependencies"]] == ["training data", "model", "base image"]
    assert found.sbom is not None
    assert {"onnxruntime", "numpy"} <= {one["name"] for one in found.sbom["components"]}
    assert len(registry(RELEASES).referrers(REPOSITORY, digest)) == 3
    for subject in (snapshot, digest, release.CHAMPION):
        entry = ledger.read(WORKLOAD, subject, "release")
        assert entry is not None
        assert (entry["snapshot"], entry["digest"], entry["reference"]) == (snapshot, digest, released["reference"])
    assert registry(RELEASES).resolve(REPOSITORY, f"v-{digest[7:19]}") == digest


@pytest.mark.parametrize("outcome", [None, "rejected", "unanswered"])
def test_what_nobody_approved_is_not_copied(snapshot: str, outcome: str | None) -> None:
    digest = release.package(WORKLOAD, snapshot)["digest"]
    if outcome:
        approve(snapshot, digest, outcome)
    with pytest.raises(Refused, match=f"approval in the ledger is {outcome or 'missing'}"):
        release.copy(WORKLOAD, snapshot, digest)
    assert registry(RELEASES).resolve(REPOSITORY, digest) is None


def test_an_approval_is_of_one_digest(snapshot: str) -> None:
    digest = release.package(WORKLOAD, snapshot)["digest"]
    approve(snapshot, "sha256:" + "0" * 64)
    with pytest.raises(Refused, match="approved for sha256:000"):
        release.copy(WORKLOAD, snapshot, digest)


def test_a_release_tag_of_another_image_stays(snapshot: str) -> None:
    digest = release.package(WORKLOAD, snapshot)["digest"]
    approve(snapshot, digest)
    releases = ContainerRegistryHook(RELEASES).registry
    rollout = ContainerRegistryHook(RELEASES).connection.extra_dejson["rollout_image"].partition(":")
    other = releases.manifest(rollout[0], rollout[2])
    for one in (other.config, *other.layers):
        releases.send_blob(REPOSITORY, one.digest, one.size, lambda _: iter(()), mount_from=rollout[0])
    releases.write_manifest(REPOSITORY, other, f"v-{digest[7:19]}")
    with pytest.raises(TagTaken, match=other.digest):
        release.copy(WORKLOAD, snapshot, digest)
    assert (ledger.read(WORKLOAD, digest, "release")) is None


def test_a_model_that_is_not_the_candidates(snapshot: str) -> None:
    job = ledger.read(WORKLOAD, snapshot, "candidate")["job"]  # type: ignore[index]
    LakeHook().write(f"{naming.job_folder(WORKLOAD, job)}/model.onnx", b"another model")
    with pytest.raises(UnexpectedReply, match="train again"):
        release.package(WORKLOAD, snapshot)


def test_an_output_that_is_missing_is_named(snapshot: str) -> None:
    job = ledger.read(WORKLOAD, snapshot, "candidate")["job"]  # type: ignore[index]
    LakeHook().delete(f"{naming.job_folder(WORKLOAD, job)}/profile.json")
    with pytest.raises(NothingToDo, match=r"has no profile\.json"):
        release.package(WORKLOAD, snapshot)


def test_no_candidate(embedded: Home) -> None:
    with pytest.raises(NothingToDo, match="has no candidate"):
        release.package(WORKLOAD, "sha256:" + "1" * 64)


def test_the_key_is_in_no_message(snapshot: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    digest = release.package(WORKLOAD, snapshot)["digest"]
    monkeypatch.setenv("AIRFLOW_CONN_EDGELOOP_SIGNING", json.dumps({"conn_type": "generic", "password": "c2VjcmV0 key"}))
    with pytest.raises(Exception, match="not a PEM private key") as refused:
        release.sign(WORKLOAD, snapshot, digest)
    assert "c2VjcmV0" not in str(refused.value) + caplog.text
    monkeypatch.setenv("AIRFLOW_CONN_EDGELOOP_SIGNING", json.dumps({"conn_type": "generic"}))
    with pytest.raises(ConnectionIncomplete, match="edgeloop_signing lacks the PEM"):
        release.sign(WORKLOAD, snapshot, digest)
