"""The real management client against a control plane that misbehaves."""

import json

import httpx
import pytest

from edgeloop.exceptions import ConnectionIncomplete, ServiceError, UnexpectedReply
from edgeloop.hooks.data_factory import DataFactoryHook, DefinitionError
from edgeloop.hooks.failures import transient
from edgeloop.hooks.pipeline_runs import PipelineRuns
from edgeloop.hooks.remote_job import Watch
from edgeloop.models import JobStatus
from include.standin.home import Home
from include.standin.serving import client_context

SOON = {"Retry-After": "0.1"}


@pytest.fixture
def faults(cloud, connections):
    """Adds a fault; all are gone after the test."""
    with httpx.Client(base_url=cloud.url("cloud"), verify=client_context(cloud)) as client:
        yield lambda **fault: client.put("/_faults", json=fault).raise_for_status()
        client.delete("/_faults").raise_for_status()


@pytest.fixture
def other_cloud(cloud, connections, monkeypatch):
    """A Connection `other` like the cloud's, with changes."""

    def changed(extra=None, **fields):
        said = json.loads(json.dumps(connections["edgeloop_cloud"]))
        said |= fields
        said["extra"] |= extra or {}
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(said))
        return DataFactoryHook("other")

    return changed


def pause(seconds=0):
    activity = {"name": "Pause", "type": "Wait", "typeProperties": {"waitTimeInSeconds": seconds}}
    return {"properties": {"parameters": {"runKey": {"type": "string"}}, "activities": [activity]}}


def test_definitions_are_deployed_with_the_lakes_endpoint(cloud, connections):
    hook = DataFactoryHook()
    names = hook.deploy("wind_power")
    assert names == [
        "linkedService edgeloop_lake",
        "dataset wind_power_historian",
        "dataset wind_power_raw",
        "pipeline wind_power_ingest",
    ]
    assert hook.deploy("wind_power") == names, "a second time changes nothing"
    file = cloud.folder("data_factory") / "definitions" / "edgeloop" / "linkedservices" / "edgeloop_lake.json"
    assert json.loads(file.read_text())["properties"]["typeProperties"]["serviceEndpoint"] == connections["edgeloop_lake"]["host"]


def test_a_file_that_is_no_definition_is_named(cloud, connections, tmp_path, monkeypatch):
    broken = tmp_path / "data_factory" / "pipeline" / "half.json"
    broken.parent.mkdir(parents=True)
    broken.write_text('{"name": "half"')
    monkeypatch.setattr("edgeloop.hooks.data_factory.folder", lambda _: tmp_path)
    with pytest.raises(DefinitionError, match=r"half.json is not a pipeline as Data Factory stores it"):
        DataFactoryHook().deploy("anything")


def test_throttling_is_waited_for(faults):
    faults(path="/pipelines/calm", status=429, headers=SOON, count=2)
    DataFactoryHook().put("pipeline", "calm", pause())


def test_a_control_plane_that_stays_out_of_order_is_named(faults):
    faults(path="/pipelines/calm", status=503, headers=SOON, count=50)
    with pytest.raises(
        ServiceError, match=r"Data Factory edgeloop \(pipeline calm\) at https://.* out of order or throttles \(503\)"
    ) as raised:
        DataFactoryHook().put("pipeline", "calm", pause())
    raised.match("the task's retry asks again")
    assert transient(raised.value)


def test_a_token_that_is_over(faults):
    faults(path="/oauth2/v2.0/token", expired_token=True)
    with pytest.raises(ServiceError, match="says that the token is over: compare this machine's clock") as raised:
        DataFactoryHook().put("pipeline", "calm", pause())
    assert not transient(raised.value)


def test_a_wrong_secret(other_cloud):
    with pytest.raises(
        ServiceError, match="does not know this identity: check login, password, tenant_id and audience of Connection other"
    ):
        other_cloud(password="wrong").put("pipeline", "calm", pause())


def test_a_ca_that_did_not_sign_the_certificate(other_cloud, tmp_path_factory):
    stranger = Home.create(tmp_path_factory.mktemp("stranger"), 20000)
    with pytest.raises(ServiceError, match="not trusted: enter the CA's PEM file as 'ca_bundle' in Connection other") as raised:
        other_cloud({"ca_bundle": str(stranger.ca)}).put("pipeline", "calm", pause())
    assert not transient(raised.value)


def test_an_address_where_nobody_answers(other_cloud, monkeypatch):
    hook = other_cloud({"resource_manager": "https://localhost:1"})
    monkeypatch.setattr(type(hook), "_retries", 0)
    with pytest.raises(
        ServiceError, match=r"at https://localhost:1 does not answer: .* the address in Connection other is right"
    ) as raised:
        hook.put("pipeline", "calm", pause())
    assert transient(raised.value)


def test_a_pipeline_that_is_not_there(cloud, connections):
    with pytest.raises(
        ServiceError, match=r"\(pipeline absent\) .*refused the request \(404\): .*PipelineNotFound.*'absent' does not exist"
    ):
        DataFactoryHook().start("absent", {})


def test_a_connection_that_is_missing_or_incomplete(other_cloud):
    with pytest.raises(ConnectionIncomplete, match=r"Connection other lacks 'subscription_id' in its extra. Enter it under Admin"):
        other_cloud({"subscription_id": ""}).put("pipeline", "calm", pause())
    with pytest.raises(Exception, match="nowhere"):
        DataFactoryHook("nowhere").put("pipeline", "calm", pause())


def test_a_run_is_found_by_its_key_from_anywhere(cloud, connections):
    DataFactoryHook().put("pipeline", "keyed", pause())
    first = PipelineRuns("keyed", {})
    assert first.find("a-0") is None
    first.start("a-0")
    first.start("a-0")
    found = PipelineRuns("keyed", {}).find("a-0")
    assert found.service_id == first.run_ids["a-0"]
    assert len([run for run in DataFactoryHook().runs("keyed") if run.parameters["runKey"] == "a-0"]) == 1
    PipelineRuns("keyed", {}).cancel("never-started")
    with pytest.raises(UnexpectedReply, match="has no run of pipeline keyed with runKey b-0"):
        PipelineRuns("keyed", {}).state("b-0")


def test_a_watch_has_patience(faults):
    DataFactoryHook().put("pipeline", "keyed", pause())
    jobs = PipelineRuns("keyed", {})
    jobs.start("patient-0")
    watch = Watch(jobs, "patient-0", 0.5)
    faults(path="/pipelineruns/", status=503, headers=SOON, count=5)
    assert watch.ask() is None
    assert watch.failures == 1
    assert watch.pause > 1.5
    state = watch.ask()
    assert state.status in (JobStatus.RUNNING, JobStatus.SUCCEEDED)
    assert (watch.failures, watch.pause) == (0, 0.5)


def test_an_unknown_status_is_an_error(faults):
    DataFactoryHook().put("pipeline", "keyed", pause())
    jobs = PipelineRuns("keyed", {})
    jobs.start("odd-0")
    faults(path="/pipelineruns/", status=200, body={"runId": "r", "status": "Pondering"})
    with pytest.raises(UnexpectedReply, match="Data Factory says that job odd-0 is 'Pondering'; known are Queued, InProgress"):
        Watch(jobs, "odd-0", 1).ask()
