"""The operator and the stage around it, against an Azure ML that really runs jobs: to the end, again, when killed, when refused."""

import asyncio
import json
import os
import threading
import time
import uuid
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest
from airflow.sdk.exceptions import TaskDeferred

from edgeloop import ledger
from edgeloop.exceptions import NothingToDo, RemoteJobCancelled, RemoteJobFailed, RemoteJobTimedOut, UnexpectedReply
from edgeloop.hooks.lake import LakeHook
from edgeloop.hooks.machine_learning import MachineLearningHook
from edgeloop.models import JobStatus
from edgeloop.operators.machine_learning import RunTrainingJobOperator
from edgeloop.stages import train
from edgeloop.training_code import TrainingCode
from edgeloop.triggers.remote_job import RemoteJobTrigger

W = "wind_power"
TRAIN = """
import argparse, hashlib, json, pathlib
parser = argparse.ArgumentParser()
for name in ("workload", "data", "feedback", "manifest", "window", "out"):
    parser.add_argument(f"--{name}")
said = parser.parse_args()
print("training on", said.window)
out, manifest = pathlib.Path(said.out), pathlib.Path(said.manifest).read_text()
parts = [blob.split("/validated/")[1] for blob, _ in json.loads(manifest) if "/validated/" in blob]
model = "".join(pathlib.Path(said.data, part).read_text() for part in parts)
model += str(len(list(pathlib.Path(said.feedback).rglob("*.txt")))) if said.feedback else ""
(out / "model.onnx").write_text(model)
digest = {"model_digest": model, "snapshot": manifest}
contract = {name: "sha256:" + hashlib.sha256(text.encode()).hexdigest() for name, text in digest.items()}
(out / "contract.json").write_text(json.dumps(contract))
"""


class Store(dict):
    """What the task state store does."""

    def set(self, key, value):
        self[key] = value


@pytest.fixture(autouse=True)
def environments(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("EDGELOOP_ENVIRONMENTS", str(tmp_path_factory.getbasetemp() / "environments"))


@pytest.fixture
def code(monkeypatch):
    """Put a small program in the place of the training; gives what changes it."""

    def put(script):
        files = {"include/__init__.py": b"", "include/training/__init__.py": b"", f"include/workloads/{W}/requirements.txt": b"# none\n"}
        monkeypatch.setattr(
            TrainingCode, "of", lambda workload: TrainingCode(workload, {**files, "include/training/__main__.py": script.encode()})
        )

    put(TRAIN)
    return put


@pytest.fixture
def taken(cloud, connections):
    """A snapshot of two days, asked for by a request of its own, in a year of its own."""
    lake, year = LakeHook(), 1700 + uuid.uuid4().int % 200
    for blob in lake.blobs(f"{W}/feedback/"):
        lake.delete(blob.name)
    for site in ("north", "south"):
        lake.write(f"{W}/validated/site={site}/date={year}-01-01/m.txt", f"{site} {uuid.uuid4()}".encode())
    request = f"request-{uuid.uuid4().hex[:8]}"
    ledger.record(W, request, "request", {"window": f"{year}-01-01..{year}-01-31"})
    return train.snapshot(W, request) | {"request": request}


def operator(taken, **more):
    return RunTrainingJobOperator(task_id="fit", workload=W, snapshot=taken, poll_interval=0.2, **more)


def context(store=None, try_number=1):
    return {
        "task_state_store": Store() if store is None else store,
        "ti": SimpleNamespace(try_number=try_number),
        "dag_run": SimpleNamespace(clear_number=0),
    }


def until(what, seconds=60):
    for _ in range(seconds * 10):
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come true within {seconds} s")


def fault(home, **said):
    httpx.put(f"{home.url('cloud')}/_faults", json=said, verify=str(home.ca)).raise_for_status()


def test_a_model_is_trained_once_and_registered_once(cloud, code, taken):
    before = dict(os.environ)
    task, store = operator(taken), Store()
    found = task.execute(context(store))
    assert found["job"] == store["job_id"]
    assert found["job"].startswith("wind-power-")
    assert found["outputs"] == f"{W}/models/{found['job']}"
    assert task.link.startswith(f"{cloud.url('cloud')}/runs/{found['job']}")
    assert ledger.read(W, taken["snapshot"], "job")["job"] == found["job"]
    registered = train.register(W, taken["snapshot"], found["job"])
    assert registered == train.register(W, taken["snapshot"], found["job"])
    assert registered["model_digest"] == json.loads(LakeHook().read(f"{found['outputs']}/contract.json"))["model_digest"]
    model = MachineLearningHook().model(W, registered["model_version"])
    assert model.tags["snapshot"] == taken["snapshot"]
    assert model.path.endswith(found["outputs"])
    candidate = ledger.read(W, taken["snapshot"], "candidate")
    assert (candidate["job"], candidate["window"]) == (found["job"], taken["window"])
    assert operator(taken).execute(context())["job"] == found["job"], "another run with the same inputs finds the job"
    code(TRAIN + "# other code")
    assert operator(taken).base_id({}) != task.base_id({})
    assert dict(os.environ) == before


def test_a_snapshot_is_the_same_for_the_same_data_and_another_with_answers(cloud, code, taken):
    assert train.snapshot(W, taken["request"])["snapshot"] == taken["snapshot"]
    assert taken["partitions"] == 2
    assert "--feedback" not in operator(taken).command
    LakeHook().write(f"{W}/feedback/site=north/date=2026-01-01/a.txt", b"false_alarm")
    answered = train.snapshot(W, taken["request"])
    assert answered["snapshot"] != taken["snapshot"]
    found = operator(answered).execute(context())
    assert LakeHook().read(f"{found['outputs']}/model.onnx").endswith(b"1")


def test_nothing_to_train_on_names_the_window_and_the_next_step(cloud, connections):
    ledger.record(W, "request-empty", "request", {"window": "1650-01-01..1650-01-02"})
    with pytest.raises(NothingToDo, match=r"1650-01-01..1650-01-02 .*run wind_power.ingest for that window first"):
        train.snapshot(W, "request-empty")
    with pytest.raises(NothingToDo, match="no request 'never'"):
        train.snapshot(W, "never")
    with pytest.raises(NothingToDo, match="no snapshot sha256:0"):
        train.register(W, "sha256:0", "job")


def test_a_model_that_is_not_what_its_contract_says_is_not_registered(cloud, code, taken):
    code(TRAIN.replace('"model_digest": model', '"model_digest": "other"'))
    found = operator(taken).execute(context())
    with pytest.raises(UnexpectedReply, match="train it again"):
        train.register(W, taken["snapshot"], found["job"])
    assert ledger.read(W, taken["snapshot"], "candidate") is None


def test_a_failed_job_says_why_and_the_next_try_is_another_attempt(code, taken):
    code("raise SystemExit('the wind has left')")
    store = Store()
    with pytest.raises(RemoteJobFailed, match=r"the wind has left.*See https://"):
        operator(taken).execute(context(store))
    first = store["job_id"]
    with pytest.raises(RemoteJobFailed):
        operator(taken).execute(context(store, 2))
    assert (first[-2:], store["job_id"][-2:]) == ("-0", "-1")


def test_a_killed_task_cancels_its_job(code, taken, tmp_path):
    code(f"import pathlib, time; pathlib.Path({str(tmp_path / 'began')!r}).touch(); time.sleep(600)")
    task, store, errors = operator(taken), Store(), []

    def execute():
        try:
            task.execute(context(store))
        except RemoteJobCancelled as error:
            errors.append(error)

    thread = threading.Thread(target=execute, daemon=True)
    thread.start()
    until((tmp_path / "began").exists)
    task.on_kill()
    thread.join(60)
    assert errors, "the job was cancelled"
    assert MachineLearningHook().state(store["job_id"]).status is JobStatus.CANCELLED


def test_throttling_and_an_outage_are_waited_out(cloud, code, taken):
    fault(cloud, path="/jobs/", status=429, headers={"Retry-After": "0"}, count=2)
    fault(cloud, path="/codes/", status=503, count=1)
    assert operator(taken).execute(context())["job"]


def test_a_token_that_is_over_is_replaced(cloud, code, taken):
    fault(cloud, path="/token$", expired_token=True)
    hook = MachineLearningHook()
    assert hook.find("job-nobody-started") is None
    assert not httpx.get(f"{cloud.url('cloud')}/_faults", verify=str(cloud.ca)).json()["faults"], "the token that is over was given out"


def test_deferred_the_trigger_gives_the_end(code, taken):
    task = operator(taken, deferrable=True, execution_timeout=timedelta(minutes=5))
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context())
    path, arguments = deferred.value.trigger.serialize()
    assert path == "edgeloop.triggers.remote_job.RemoteJobTrigger"
    assert arguments["hook"] == "edgeloop.hooks.machine_learning.MachineLearningHook"
    assert arguments["arguments"] == {"cloud_conn_id": "edgeloop_cloud"}
    event = asyncio.run(_first(RemoteJobTrigger(**json.loads(json.dumps(arguments)))))
    assert operator(taken, deferrable=True).resume(context(), event)["job"] == arguments["job_id"]


def test_deferred_past_its_deadline_the_job_is_cancelled(code, taken):
    code("import time; time.sleep(600)")
    task = operator(taken, deferrable=True, execution_timeout=timedelta(milliseconds=1))
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context())
    event = asyncio.run(_first(RemoteJobTrigger(**deferred.value.trigger.serialize()[1])))
    with pytest.raises(RemoteJobTimedOut, match="allow it more"):
        operator(taken).resume(context(), event)
    until(lambda: MachineLearningHook().state(event["job_id"]).status is JobStatus.CANCELLED)


async def _first(trigger):
    async for event in trigger.run():
        return event.payload


def test_a_status_that_the_protocol_does_not_know_is_an_error(cloud, connections):
    said = {
        "id": "/x",
        "name": "odd",
        "properties": {"jobType": "Command", "command": "x", "environmentId": "/a/environments/b/versions/1", "status": "Unknown"},
    }
    fault(cloud, path="/jobs/odd", method="GET", status=200, body=said)
    with pytest.raises(UnexpectedReply, match="Azure ML says that job odd is 'Unknown'"):
        MachineLearningHook().state("odd")
    with pytest.raises(UnexpectedReply, match="no job never"):
        MachineLearningHook().state("never")
