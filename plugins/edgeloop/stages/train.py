"""Stage 3: the validated data of a window becomes a snapshot, and what a job made of it a registered candidate."""

import base64
import hashlib
import json
from typing import Any

from edgeloop import ledger
from edgeloop.exceptions import NothingToDo, UnexpectedReply
from edgeloop.hooks.lake import LakeHook, Stored
from edgeloop.hooks.machine_learning import MachineLearningHook, RegisteredModel
from edgeloop.operators.machine_learning import OUTPUT
from include.domain import naming
from include.domain.snapshot import Part, Snapshot
from include.domain.windows import Window
from include.workloads import load


def snapshot(workload: str, request_id: str) -> dict[str, Any]:
    """Name the data that the request is about: `{"snapshot", "manifest", "window", "partitions"}`.

    It is every validated partition of the window, and all answers of people. The same data gives the same snapshot.
    """
    window = _window(workload, request_id)
    lake, sites = LakeHook(), load(workload).sites
    validated = lake.partitions(workload, "validated", sites, window)
    if not validated:
        raise NothingToDo(
            f"no validated partitions of {workload} in {window} (sites {', '.join(sites)}): run {workload}.ingest for that window first, "
            "then request the training again"
        )
    answers = [blob for site in sites for blob in lake.blobs(f"{workload}/feedback/site={site}/")]
    taken = Snapshot.of(Part(blob.name, _content_hash(lake, blob)) for blob in [*validated, *answers])
    manifest = naming.snapshot_manifest(workload, taken.digest)
    lake.write(manifest, taken.to_json().encode(), "application/json")
    found = {"snapshot": taken.digest, "manifest": manifest, "window": str(window), "partitions": len(taken.parts)}
    ledger.record(workload, taken.digest, "snapshot", {**found, "request": request_id})
    return found


def register(workload: str, snapshot: str, job: str) -> dict[str, Any]:
    """Register the job's model as a version: `{"snapshot", "job", "window", "model_version", "model_digest"}`. Again: the same version."""
    taken = ledger.read(workload, snapshot, "snapshot")
    if taken is None:
        raise NothingToDo(f"the ledger of {workload} has no snapshot {snapshot}: clear the task that takes it")
    outputs = naming.job_folder(workload, job)
    digest = _model_digest(outputs, snapshot)
    version = job.removeprefix(f"{naming.dns_name(workload)}-")
    tags = {"snapshot": snapshot, "model_digest": digest, "window": taken["window"]}
    MachineLearningHook().register(RegisteredModel(workload, version, job), OUTPUT, tags)
    found = {"snapshot": snapshot, "job": job, "window": taken["window"], "model_version": version, "model_digest": digest}
    ledger.record(workload, snapshot, "candidate", {**found, "outputs": outputs})
    return found


def _window(workload: str, request_id: str) -> Window:
    request = ledger.read(workload, request_id, "request")
    if request is None:
        raise NothingToDo(f"the ledger of {workload} has no request {request_id!r}: start {workload}.retrain, which makes one")
    return Window.parse(request["window"])


def _content_hash(lake: LakeHook, blob: Stored) -> str:
    """The MD5 that the service keeps; a blob that came without one is read."""
    return blob.content_md5 or base64.b64encode(hashlib.md5(lake.read(blob.name), usedforsecurity=False).digest()).decode()


def _model_digest(outputs: str, snapshot: str) -> str:
    """The digest in the model's contract, which must be that of the model, and the snapshot that was asked for."""
    lake = LakeHook()
    contract = json.loads(lake.read(f"{outputs}/contract.json"))
    digest = hashlib.sha256(lake.read(f"{outputs}/model.onnx")).hexdigest()
    said = str(contract.get("model_digest"))
    if said.removeprefix("sha256:") != digest:
        raise UnexpectedReply(f"{outputs}/contract.json says that the model is {said}, but model.onnx is sha256:{digest}: train it again")
    if contract.get("snapshot") != snapshot:
        raise UnexpectedReply(f"{outputs} was trained on {contract.get('snapshot')}, not on {snapshot}: train it again")
    return said
