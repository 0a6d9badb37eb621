"""Stage 4, from a candidate to a release: image by digest, signed and attested, copied to the registry that sites pull from."""

import hashlib
import json
from typing import Any

from airflow.sdk import BaseHook

from edgeloop import ledger
from edgeloop.exceptions import ConnectionIncomplete, NothingToDo, Refused, UnexpectedReply
from edgeloop.hooks.container_registry import ContainerRegistryHook
from edgeloop.hooks.lake import LakeHook
from include.domain import naming
from include.settings import CANDIDATES, RELEASES, ROOT, SIGNING

MODEL_FILES = ("model.onnx", "contract.json", "golden.parquet", "profile.json", "model_card.md")
"""What the image holds in /model (docs/contracts.md)."""
CHAMPION = "champion"
"""Subject of the ledger whose `release` is the newest one."""
BOOKKEEPING = ("workload", "subject", "step", "recorded_at")
"""What the ledger adds to facts. Times do not go into a provenance: signing again says the same."""


def package(workload: str, snapshot: str) -> dict[str, str]:
    """Append the model to the scorer's base image, by digest, in the candidates registry: `{"digest", "reference"}`.

    The same model on the same base gives the same digest.
    """
    from include.oci.append import append, pick
    from include.oci.layer import layer
    from include.oci.reference import Reference

    candidate = _read(workload, snapshot, "candidate")
    files = _model(workload, snapshot, candidate)
    hook, repository = ContainerRegistryHook(CANDIDATES), naming.repository(workload)
    registry, base = hook.registry, hook.scoring_base
    below = base.at(pick(registry, base, "linux/amd64").digest)
    labels = {"edgeloop.workload": workload, "edgeloop.snapshot": snapshot, "edgeloop.model": _digest(files["model.onnx"])}
    content = layer({f"/model/{name}": data for name, data in files.items()})
    made = append(registry, below, registry, repository, content, labels, f"edgeloop: model of {workload}")
    facts = {"digest": made.digest, "reference": str(Reference(registry.host, repository, digest=made.digest))}
    ledger.record(workload, snapshot, "package", {**facts, "base": str(below), "layer": content.digest})
    return facts


def sign(workload: str, snapshot: str, digest: str) -> dict[str, str]:
    """Sign the digest and attest where it comes from and what is in it: `{"digest", "signature", "provenance", "sbom"}`, digests all."""
    from include.oci import bundle, predicates
    from include.oci.pins import packages
    from include.oci.sign import attest
    from include.oci.sign import sign as sign_digest

    registry, repository = ContainerRegistryHook(CANDIDATES).registry, naming.repository(workload)
    key = bundle.private_key(_signing_key())
    candidate = _read(workload, snapshot, "candidate")
    said = predicates.provenance(_build(workload, snapshot, candidate))
    inside = packages((ROOT / "include" / "scoring" / "requirements.txt").read_text(encoding="utf-8"))
    parts = predicates.sbom(naming.dns_name(workload), _prefixed(candidate["model_digest"]), inside)
    facts = {
        "digest": digest,
        "signature": sign_digest(registry, repository, digest, key).digest,
        "provenance": attest(registry, repository, digest, key, bundle.PROVENANCE, said).digest,
        "sbom": attest(registry, repository, digest, key, bundle.SBOM, parts).digest,
    }
    ledger.record(workload, snapshot, "sign", {**facts, "key": bundle.hint(key.public_key())})
    return facts


def copy(workload: str, snapshot: str, digest: str) -> dict[str, str]:
    """Bring the approved digest with its signatures to the release registry: `{"digest", "reference", "tag", ...}`.

    Refused unless the ledger says that this digest was approved. What is there already is not sent again; no tag is moved.
    """
    from include.oci import copy as images
    from include.oci.reference import Reference, short

    candidate = _read(workload, snapshot, "candidate")
    _check_approved(workload, snapshot, digest)
    candidates, releases = ContainerRegistryHook(CANDIDATES), ContainerRegistryHook(RELEASES)
    repository, tag = naming.repository(workload), f"v-{short(digest)}"
    if releases.acr_id:
        releases.import_image(candidates, repository, digest)  # the bulk; signatures and tag follow below
    images.copy(candidates.registry, repository, digest, releases.registry, repository, tag)
    facts: dict[str, str] = {
        "snapshot": snapshot,
        "digest": digest,
        "reference": str(Reference(releases.registry.host, repository, digest=digest)),
        "tag": tag,
        **{name: candidate[name] for name in ("job", "model_version", "model_digest", "window")},
    }
    for subject in (snapshot, digest, CHAMPION):
        ledger.record(workload, subject, "release", facts)
    return facts


def _model(workload: str, snapshot: str, candidate: ledger.Facts) -> dict[str, bytes]:
    """The job's outputs that go into the image; UnexpectedReply when they are not those of the candidate."""
    lake, folder = LakeHook(), naming.job_folder(workload, candidate["job"])
    files = {}
    for name in MODEL_FILES:
        data = lake.read_or_none(f"{folder}/{name}")
        if data is None:
            raise NothingToDo(f"{lake.uri(folder)} has no {name}: the training job {candidate['job']} did not write it; train again")
        files[name] = data
    said = json.loads(files["contract.json"])
    found = _digest(files["model.onnx"])
    for whose, model in (("the candidate", candidate["model_digest"]), ("contract.json", str(said.get("model_digest")))):
        if _prefixed(model) != found:
            raise UnexpectedReply(f"model.onnx of job {candidate['job']} is {found}, {whose} says {model}: train again")
    if said.get("snapshot") != snapshot:
        raise UnexpectedReply(f"the model of job {candidate['job']} was trained on {said.get('snapshot')}, not on {snapshot}: train again")
    return files


def _build(workload: str, snapshot: str, candidate: ledger.Facts) -> Any:
    """How the image came about, from the ledger and the lake."""
    from include.oci.predicates import Build, Source

    lake, folder = LakeHook(), naming.job_folder(workload, candidate["job"])
    packaged = _read(workload, snapshot, "package")
    base, _, base_digest = packaged["base"].rpartition("@")
    return Build(
        workload=workload,
        snapshot=snapshot,
        job=candidate["job"],
        window=candidate.get("window"),
        sources=(
            Source("training data", lake.uri(naming.snapshot_manifest(workload, snapshot)), snapshot),
            Source("model", lake.uri(f"{folder}/model.onnx"), _prefixed(candidate["model_digest"])),
            Source("base image", base, base_digest),
        ),
        metrics=json.loads(lake.read(f"{folder}/metrics.json")),
        parity=_facts(_read(workload, snapshot, "parity")),
        gate=_facts(_read(workload, snapshot, "gate")),
    )


def _check_approved(workload: str, snapshot: str, digest: str) -> None:
    said = ledger.read(workload, snapshot, "approval") or {}
    if said.get("outcome") != "approved" or said.get("digest") != digest:
        found = f"{said['outcome']} for {said.get('digest')}" if said else "missing"
        raise Refused(f"{digest} is not released: its approval in the ledger is {found}. Clear the task approve, and answer it")


def _read(workload: str, snapshot: str, step: str) -> ledger.Facts:
    found = ledger.read(workload, snapshot, step)
    if found is None:
        raise NothingToDo(f"the ledger of {workload} has no {step} for {snapshot}: clear the task that writes it")
    return found


def _facts(entry: ledger.Facts) -> ledger.Facts:
    return {name: value for name, value in entry.items() if name not in BOOKKEEPING}


def _signing_key() -> str:
    found = BaseHook.get_connection(SIGNING).password
    if not found:
        raise ConnectionIncomplete(SIGNING, "lacks the PEM private key as its password")
    return str(found)


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _prefixed(digest: str) -> str:
    return f"sha256:{digest.removeprefix('sha256:')}"
