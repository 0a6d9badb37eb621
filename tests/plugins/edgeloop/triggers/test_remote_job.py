"""The trigger against a control plane that is slow, away, or wrong."""

import asyncio
import time

import httpx
import pytest

from edgeloop.exceptions import UnexpectedReply
from edgeloop.hooks.data_factory import DataFactoryHook
from edgeloop.hooks.pipeline_runs import PipelineRuns
from edgeloop.models import JobState
from edgeloop.triggers.remote_job import RemoteJobTrigger
from include.standin.serving import client_context

PIPELINE = "watched"
SOON = {"Retry-After": "0.1"}


@pytest.fixture
def faults(cloud, connections):
    with httpx.Client(base_url=cloud.url("cloud"), verify=client_context(cloud)) as client:
        yield lambda **fault: client.put("/_faults", json=fault).raise_for_status()
        client.delete("/_faults").raise_for_status()


def started(job_id, seconds=0):
    activity = {"name": "Pause", "type": "Wait", "typeProperties": {"waitTimeInSeconds": seconds}}
    DataFactoryHook().put("pipeline", PIPELINE, {"properties": {"parameters": {"runKey": {"type": "string"}}, "activities": [activity]}})
    jobs = PipelineRuns(PIPELINE, {})
    jobs.start(job_id)
    return jobs


def trigger(jobs, job_id, seconds=60.0, **arguments):
    path = f"{PipelineRuns.__module__}.{PipelineRuns.__qualname__}"
    return RemoteJobTrigger(
        hook=path, arguments={**jobs.arguments, **arguments}, job_id=job_id, deadline=time.time() + seconds, poll_interval=0.1
    )


async def events(waiting):
    return [event.payload async for event in waiting.run()]


def test_a_service_that_is_away_for_a_while_is_waited_for(faults):
    jobs = started("away-0")
    faults(path="/pipelineruns/", status=503, headers=SOON, count=6)
    (event,) = asyncio.run(events(trigger(jobs, "away-0")))
    assert event["status"] == "SUCCEEDED"


def test_the_deadline_holds_also_for_a_service_that_does_not_answer(faults):
    jobs = started("deaf-0", 600)
    faults(path=f"/pipelineruns/{jobs.run_ids['deaf-0']}$", method="GET", status=503, headers=SOON, count=1000)
    (event,) = asyncio.run(events(trigger(jobs, "deaf-0", seconds=2)))
    assert event["status"] == "TIMED_OUT"
    httpx.delete(DataFactoryHook().cloud.profile.resource_manager + "/_faults", verify=DataFactoryHook().cloud.profile.ssl_context())
    assert jobs.state("deaf-0").error in (None, "The pipeline run was cancelled by the caller.")


def test_the_loop_is_not_blocked_while_the_service_thinks(faults):
    jobs = started("slow-0")
    faults(path="/pipelineruns/", delay=1.0)

    async def ticking():
        waiting = asyncio.create_task(events(trigger(jobs, "slow-0")))
        ticks = 0
        while not waiting.done():
            await asyncio.sleep(0.05)
            ticks += 1
        return ticks, await waiting

    ticks, (event,) = asyncio.run(ticking())
    assert ticks > 5
    assert event["status"] == "SUCCEEDED"


def test_what_cannot_get_better_ends_the_watch_with_its_reason(cloud, connections):
    jobs = started("lost-0")
    (event,) = asyncio.run(events(trigger(jobs, "lost-0", run_ids={"lost-0": "no-such-run"})))
    with pytest.raises(UnexpectedReply, match=r"job lost-0 could not be watched: ServiceError: .*PipelineRunNotFound.*Clear the task"):
        JobState.read_event(event)
