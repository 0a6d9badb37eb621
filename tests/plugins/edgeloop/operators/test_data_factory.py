"""The operator against a Data Factory that really runs pipelines: to the end, after a crash, when it is killed, when it takes too long."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time.timeout import timeout

from edgeloop.exceptions import RemoteJobCancelled, RemoteJobFailed, RemoteJobTimedOut, UnexpectedReply
from edgeloop.hooks.data_factory import DataFactoryHook
from edgeloop.hooks.lake import LakeHook
from edgeloop.models import JobStatus
from edgeloop.operators.data_factory import RunPipelineOperator
from edgeloop.triggers.remote_job import RemoteJobTrigger

ROOT = Path(__file__).parents[4]
HEADER = "Wind_turbine_name,Date_time,Ba_avg,P_avg,Ws_avg,Va_avg,Ot_avg,Ya_avg,Wa_avg\n"
WINDOW = {"site": "north", "windowStart": "2012-01-01", "windowEnd": "2012-01-02"}


class Store:
    """What the task state store does, in a file: it outlives the process."""

    def __init__(self, file):
        self.file = Path(file)

    def get(self, key, default=None):
        return (json.loads(self.file.read_text()) if self.file.exists() else {}).get(key, default)

    def set(self, key, value):
        known = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.file.write_text(json.dumps({**known, key: value}))


def context(store, run_id, try_number=1, cleared=0):
    return {
        "task_state_store": store,
        "run_id": run_id,
        "dag_run": SimpleNamespace(dag_id="wind_power.ingest", clear_number=cleared),
        "ti": SimpleNamespace(try_number=try_number),
    }


@pytest.fixture
def factory(cloud, connections):
    hook = DataFactoryHook()
    hook.put("pipeline", "slow", pause(600))
    return hook


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store.json")


def pause(seconds):
    activity = {"name": "Pause", "type": "Wait", "typeProperties": {"waitTimeInSeconds": seconds}}
    return {"properties": {"parameters": {"runKey": {"type": "string"}}, "activities": [activity]}}


def export(day, *rows):
    LakeHook(container="historian").write(f"north/{day}.csv", (HEADER + "".join(f"{row}\n" for row in rows)).encode())


def operator(pipeline="slow", parameters=None, **more):
    return RunPipelineOperator(task_id="copy", pipeline=pipeline, parameters=parameters or {}, poll_interval=0.2, **more)


def runs(factory, job_id):
    return [run for run in factory.runs("slow") if run.parameters.get("runKey") == job_id]


def until(what, seconds=60):
    for _ in range(seconds * 10):
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come true within {seconds} s")


def ended(factory, job_id):
    """The only run of the job, once it is over."""
    (run,) = until(lambda: [run for run in runs(factory, job_id) if run.status not in ("Queued", "InProgress", "Canceling")])
    return run


class Executing:
    """`execute` in a thread, until the job runs."""

    def __init__(self, task, context, store):
        self.task, self.error = task, None
        self.thread = threading.Thread(target=self._run, args=(context,), daemon=True)
        self.thread.start()
        self.job_id = until(lambda: store.get("job_id"))

    def _run(self, context):
        try:
            self.task.execute(context)
        except Exception as error:
            self.error = error

    def join(self):
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.error


def test_the_workloads_pipeline_is_deployed_and_run(factory, store):
    export("2012-01-01", "R1,2012-01-01T00:00:00Z,1,2,3,4,5,6,7", "R2,2012-01-01T00:00:00Z,1,2,3,4,5,6,7")
    export("2012-01-02", "R1,2012-01-02T00:00:00Z,1,2,3,4,5,6,7")
    task = operator("wind_power_ingest", WINDOW, workload="wind_power")
    result = task.execute(context(store, "manual_1"))
    assert result | {"run_id": "-", "bytes": 0} == {
        "job_id": store.get("job_id"),
        "run_id": "-",
        "pipeline": "wind_power_ingest",
        "parameters": WINDOW,
        "files": 2,
        "rows": 3,
        "bytes": 0,
    }
    assert result["bytes"] > 1000
    assert task.link.endswith(f"/factories/edgeloop/pipelineruns/{result['run_id']}?api-version=2018-06-01")

    retry = operator("wind_power_ingest", WINDOW, workload="wind_power")
    assert retry.execute(context(store, "manual_1", try_number=2))["job_id"] == result["job_id"], "a retry copied a second time"
    again = operator("wind_power_ingest", WINDOW, workload="wind_power")
    found = again.execute(context(store, "manual_1", try_number=3, cleared=1))
    assert found["job_id"] == result["job_id"].removesuffix("0") + "1", "a cleared task copies anew"


def test_a_failed_run_says_why_and_a_retry_starts_the_next_attempt(factory, store):
    window = {"site": "north", "windowStart": "2012-07-01", "windowEnd": "2012-07-01"}
    with pytest.raises(RemoteJobFailed, match=r"path: north/2012-07-01.csv.*Mend the cause, then clear this task") as raised:
        operator("wind_power_ingest", window, workload="wind_power").execute(context(store, "manual_2"))
    raised.match("UserErrorSourceBlobNotExist")
    first = store.get("job_id")
    export("2012-07-01", "R1,2012-07-01T00:00:00Z,1,2,3,4,5,6,7")
    result = operator("wind_power_ingest", window, workload="wind_power").execute(context(store, "manual_2", 2))
    assert (first[-2:], result["job_id"][-2:], first[:-2]) == ("-0", "-1", result["job_id"][:-2])


def test_the_id_follows_from_the_inputs(factory, store):
    def base(run_id="r", **parameters):
        return operator(parameters=parameters).base_id(context(store, run_id))

    assert base(site="north", day="1") == base(day="1", site="north")
    assert len({base(), base("other"), base(site="north"), base(site="south")}) == 4


CRASH = """
import sys
sys.path[:0] = [{root!r}, {root!r} + "/plugins", {here!r}]
import test_data_factory as t
t.operator().execute(t.context(t.Store({store!r}), "manual_crash"))
"""


def test_a_retry_after_a_crash_finds_the_run_and_starts_no_second_one(factory, store, tmp_path):
    code = CRASH.format(root=str(ROOT), here=str(Path(__file__).parent), store=str(store.file))
    with (tmp_path / "out").open("w") as out, subprocess.Popen([sys.executable, "-c", code], stdout=out, stderr=out) as process:
        try:
            job_id = until(lambda: store.get("job_id"), 120)
            until(lambda: runs(factory, job_id))
        finally:
            os.kill(process.pid, signal.SIGKILL)
    task = operator()
    executing = Executing(task, context(store, "manual_crash", 2), store)
    until(lambda: task._job_id)
    (run,) = runs(factory, job_id)
    assert run.status in ("Queued", "InProgress")
    factory.cancel(run.run_id)
    assert isinstance(executing.join(), RemoteJobCancelled)
    assert ended(factory, job_id).run_id == run.run_id


def test_killing_the_task_cancels_the_run(factory, store):
    task = operator()
    executing = Executing(task, context(store, "manual_kill"), store)
    until(lambda: runs(factory, executing.job_id))
    task.on_kill()
    error = executing.join()
    assert isinstance(error, RemoteJobCancelled)
    assert "cancelled by the caller" in str(error)
    assert ended(factory, executing.job_id).status == "Cancelled"


def test_a_try_that_lost_its_run_to_a_later_one_does_not_cancel_it(factory, store):
    task = operator()
    executing = Executing(task, context(store, "manual_owner"), store)
    (run,) = until(lambda: runs(factory, executing.job_id))
    store.set("owner", 2)
    task.on_kill()
    assert factory.run(run.run_id).status in ("Queued", "InProgress")
    factory.cancel(run.run_id)
    executing.join()


def test_the_execution_timeout_cancels_the_run(factory, store):
    task = operator(execution_timeout=timedelta(seconds=2))
    with pytest.raises(RemoteJobTimedOut, match=r"execution timeout \(0:00:02\) and was cancelled"), timeout(3):
        task.execute(context(store, "manual_timeout"))
    assert ended(factory, store.get("job_id")).status == "Cancelled"


def deferred(factory, store, run_id, **more):
    task = operator(deferrable=True, **more)
    with pytest.raises(TaskDeferred) as raised:
        task.execute(context(store, run_id))
    assert raised.value.method_name == "resume"
    assert raised.value.timeout is None
    return task, raised.value.trigger


async def events(trigger):
    return [event.payload async for event in trigger.run()]


def test_a_deferred_run_ends_in_one_event(factory, store):
    factory.put("pipeline", "slow", pause(1))
    _, trigger = deferred(factory, store, "manual_deferred")
    path, arguments = trigger.serialize()
    job_id = store.get("job_id")
    (run,) = runs(factory, job_id)
    assert path == "edgeloop.triggers.remote_job.RemoteJobTrigger"
    assert arguments == {
        "hook": "edgeloop.hooks.pipeline_runs.PipelineRuns",
        "arguments": {
            "pipeline": "slow",
            "parameters": {},
            "workload": None,
            "cloud_conn_id": "edgeloop_cloud",
            "run_ids": {job_id: run.run_id},
        },
        "job_id": job_id,
        "deadline": None,
        "poll_interval": 0.2,
    }
    (event,) = asyncio.run(events(RemoteJobTrigger(**json.loads(json.dumps(arguments)))))
    assert event == {"job_id": job_id, "status": "SUCCEEDED", "error": None, "service_id": run.run_id, "link": factory.link(run.run_id)}
    resumed = operator(deferrable=True).resume(context(store, "manual_deferred"), event)
    assert resumed["run_id"] == run.run_id


def test_a_deferred_run_that_passes_its_deadline_is_cancelled(factory, store):
    task, trigger = deferred(factory, store, "manual_deadline", execution_timeout=timedelta(seconds=1))
    assert 0 < trigger.deadline - time.time() <= 1
    (event,) = asyncio.run(events(trigger))
    assert event["status"] == "TIMED_OUT"
    with pytest.raises(RemoteJobTimedOut, match="allow it more"):
        task.resume(context(store, "manual_deadline"), event)
    assert ended(factory, store.get("job_id")).status == "Cancelled"


def test_ending_a_deferred_task_by_hand_cancels_the_run_and_a_restart_of_the_triggerer_does_not(factory, store):
    _, trigger = deferred(factory, store, "manual_by_hand")
    job_id = store.get("job_id")

    async def restarted():
        running = asyncio.create_task(events(trigger))
        await asyncio.sleep(0.5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await trigger.cleanup()

    asyncio.run(restarted())
    (run,) = runs(factory, job_id)
    assert run.status in ("Queued", "InProgress")
    asyncio.run(trigger.on_kill())
    assert ended(factory, job_id).status == "Cancelled"


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (None, "came back without an event"),
        ({}, "came back without an event"),
        ({"job_id": "j", "status": "Paused"}, "job j could not be watched: the event's status is 'Paused'"),
        ({"job_id": "j", "status": None, "error": "OSError: gone"}, "job j could not be watched: OSError: gone"),
        ({"job_id": "j", "status": str(JobStatus.RUNNING)}, "handed back while it runs"),
    ],
)
def test_an_event_that_says_nothing_is_an_error(store, event, message):
    with pytest.raises(UnexpectedReply, match=message):
        operator().resume(context(store, "r"), event)
