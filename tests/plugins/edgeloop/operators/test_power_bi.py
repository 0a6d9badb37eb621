"""Refreshes of the dataset: once a version, found again, cancelled."""

import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest

from edgeloop.exceptions import ConnectionIncomplete, RemoteJobCancelled, ServiceError
from edgeloop.hooks.power_bi import PowerBIHook, Refreshes
from edgeloop.operators.power_bi import RefreshDatasetOperator
from include.domain.publication import Version
from include.standin.power_bi.models import Dataset
from include.standin.serving import client_context


@pytest.fixture
def dataset(cloud, connections):
    """The service's own memory, empty."""
    folder = cloud.folder("power_bi")
    for file in folder.glob("*.json"):
        file.unlink()
    return Dataset(folder)


def version(ago=timedelta(0)):
    return str(Version.of({"north": 1}, datetime.now(UTC) - ago))


def context(try_number=1):
    known = {}
    store = SimpleNamespace(get=lambda key, default=None: known.get(key, default), set=known.__setitem__)
    return {"task_state_store": store, "ti": SimpleNamespace(try_number=try_number), "dag_run": SimpleNamespace(clear_number=0)}


def operator(named):
    return RefreshDatasetOperator(task_id="refresh", workload="wind_power", version=named, poll_interval=0.2)


def test_a_version_is_refreshed_once(dataset):
    named = version()
    result = operator(named).execute(context())
    (refresh,) = dataset.history()
    assert result == {"job_id": f"wind_power-{named}-0", "request_id": refresh.request_id, "version": named}
    assert operator(named).execute(context(2)) == result
    assert len(dataset.history()) == 1


def test_a_refresh_that_began_before_the_version_was_written_does_not_show_it(dataset):
    old = dataset.start(duration=0.0)
    time.sleep(1.1)  # versions name seconds
    result = operator(version()).execute(context())
    assert result["request_id"] != old.request_id


def test_a_retry_finds_the_refresh_that_runs(dataset):
    named = version()
    running = dataset.start(duration=1.0)
    assert operator(named).execute(context())["request_id"] == running.request_id
    assert len(dataset.history()) == 1


def test_an_older_refresh_that_still_runs_is_waited_for(dataset):
    old = dataset.start(duration=3.0)
    dataset._write(replace(old, started=old.started - 60))
    result = operator(version()).execute(context())
    assert [refresh.request_id for refresh in dataset.history()] == [result["request_id"], old.request_id]


def test_killing_the_task_cancels_the_refresh_and_a_retry_begins_the_next(dataset):
    named, said = version(), context()
    running = dataset.start(duration=60)
    task, errors = operator(named), []

    def execute():
        try:
            task.execute(said)
        except RemoteJobCancelled as error:
            errors.append(error)

    thread = threading.Thread(target=execute, daemon=True)
    thread.start()
    for _ in range(300):
        if task._job_id:
            break
        time.sleep(0.1)
    task.on_kill()
    thread.join(30)
    assert errors
    assert dataset.get(running.request_id).status == "Cancelled"
    assert operator(named).execute(said)["job_id"].endswith("-1")


def test_what_another_process_needs_travels_along(dataset):
    refreshes = Refreshes("2026-01-01T00:00:00+00:00")
    refreshes.start("a-0")
    copy = Refreshes(**json.loads(json.dumps(refreshes.arguments)))
    assert copy.state("a-0").service_id == refreshes.request_ids["a-0"]


def test_failures_name_power_bi(dataset, cloud, connections, monkeypatch):
    with httpx.Client(base_url=cloud.url("cloud"), verify=client_context(cloud)) as client:
        client.put("/_faults", json={"path": "/refreshes", "status": 503, "count": 1}).raise_for_status()
    with pytest.raises(ServiceError, match=r"Power BI \(dataset .*out of order or throttles \(503\)"):
        PowerBIHook().history()
    said = json.loads(json.dumps(connections["edgeloop_cloud"]))
    del said["extra"]["power_bi"]
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(said))
    with pytest.raises(ConnectionIncomplete, match="Connection other lacks 'power_bi'"):
        PowerBIHook("other").history()
