"""What the loop does when things go wrong, through the REST API of a real Airflow and the protocols of the cloud."""

import signal
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
CANCELLED_WITHIN = 30.0
"""Seconds from the button to the service's word that it is over."""


def _days(first: int, count: int) -> list[str]:
    return [f"2014-01-{day:02d}" for day in range(first, first + count)]


def test_the_graph_of_assets_is_closed(loop):
    """The asset page's Task Dependencies: from any asset along the arrows back to itself."""
    assets = loop.ask("GET", "/assets", params={"limit": 100})["assets"]
    raw = next(asset["id"] for asset in assets if asset["name"] == "wind_power.raw")
    shown = loop.api._http.get("/ui/dependencies", params={"node_id": f"asset:{raw}", "dependency_type": "data"}).raise_for_status().json()
    labels = {node["id"]: node["label"].removeprefix("wind_power.") for node in shown["nodes"]}
    arrows = {(labels[edge["source_id"]], labels[edge["target_id"]]) for edge in shown["edges"]}
    way = ["training_request", "train.register", "candidate", "promote.copy", "release", "roll_out.record", "deployment"]
    way += ["drain.record", "insights", "publish.page", "published", "retrain.request", "training_request"]
    entry = ["ingest.land", "raw", "validate.check", "validated", "train.register"]
    assert {*pairwise(way), *pairwise(entry)} <= arrows


def test_ten_ingests_while_validate_is_busy_are_all_validated(loop):
    days = _days(1, 10)
    runs = [loop.ingest(day) for day in days]
    for run in runs:
        loop.ended(run)
    for day in days:
        loop.followed("validate", f"{day}..{day}")
    assert {*days} <= loop.validated()


def test_a_paused_validate_catches_up_with_the_next_run(loop):
    """What arrived while it was paused: the next event's run takes it up."""
    missed, last = _days(11, 3), "2014-01-14"
    loop.pause("validate", True)
    try:
        for run in [loop.ingest(day) for day in missed]:
            loop.ended(run)
    finally:
        loop.pause("validate", False)
    loop.ended(loop.ingest(last))
    loop.followed("validate", f"{last}..{last}")
    assert {*missed, last} <= loop.validated()


def test_a_paused_validate_catches_up_by_hand(loop):
    missed = _days(15, 2)
    loop.pause("validate", True)
    try:
        for run in [loop.ingest(day) for day in missed]:
            loop.ended(run)
    finally:
        loop.pause("validate", False)
    loop.ended(loop.api.trigger("wind_power.validate"))
    assert {*missed} <= loop.validated()


def _refused(loop, run, task: str, sentence: str) -> None:
    loop.ended(run, "failed")
    assert {one["state"] for one in loop.api.tasks(run) if one["task_id"] == task} == {"failed"}
    assert sentence in loop.api.failure(run)


def test_a_form_that_makes_no_sense_ends_with_a_clear_sentence(loop):
    tomorrow = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
    before = {(stage, site): loop.days(stage, site) for stage in ("raw", "validated") for site in loop.home.sites}
    backwards = loop.ingest("2014-01-20", "2014-01-19")
    future = loop.ingest(tomorrow)
    with pytest.raises(httpx.HTTPStatusError) as refusal:
        loop.ingest("2014-01-20", sites=["west"])
    assert refusal.value.response.status_code == 400
    assert "west" in refusal.value.response.text
    _refused(loop, backwards, "plan", "before it starts on 2014-01-20: swap First day and Last day")
    _refused(loop, future, "plan", "is not over yet")
    assert before == {key: loop.days(*key) for key in before}


def test_a_window_without_exports_ends_with_a_clear_sentence(loop):
    """One day is there and the next is not: nothing half-written is left, and no event says that the window came."""
    before = {site: loop.days("raw", site) for site in loop.home.sites}
    run = loop.ingest("2014-02-20", "2014-02-21")
    loop.ended(run, "failed")
    assert "2014-02-20" in loop.api.failure(run)
    assert before == {site: loop.days("raw", site) for site in loop.home.sites}
    assert not [run for run in loop.api.runs("wind_power.validate") if run.partition_key == "2014-02-20..2014-02-21"]


def _copying(loop, run, day: str):
    """Whether Data Factory's runs of the window are both on their way."""
    return lambda: len([one for one in loop.factory_runs(day) if one["status"] == "InProgress"]) == len(loop.home.sites)


def test_a_copy_that_is_marked_failed_is_cancelled_at_data_factory(loop, until):
    day = "2014-02-15"
    with loop.slow_landing(20):
        run = loop.ingest(day)
        until(_copying(loop, run, day), "Data Factory copies")
        loop.mark_failed(run, "copy", 0)
        loop.mark_failed(run, "copy", 1)
        until(lambda: {one["status"] for one in loop.factory_runs(day)} == {"Cancelled"}, "Data Factory has cancelled", CANCELLED_WITHIN)
    loop.ended(run, "failed")
    assert len(loop.factory_runs(day)) == len(loop.home.sites)
    assert all(day not in loop.days("raw", site) for site in loop.home.sites)


def test_a_training_that_is_marked_failed_is_cancelled_with_its_processes(loop, until):
    """The command is stopped, so that it neither ends by itself nor hears a friendly signal."""
    window = {"window_start": "2014-01-01", "window_end": "2014-01-10", "reason": "a test"}
    request = loop.ended(loop.api.trigger("wind_power.retrain", window))
    key = loop.api.result(request, "request")["request"]
    run = until(lambda: [one for one in loop.api.runs("wind_power.train") if one.partition_key == key], "train is started")[-1]
    command = until(loop.commands, "the training runs", every=0.05)[0]
    command.suspend()
    folder = Path(command.cwd()).parent
    loop.mark_failed(run, "fit")
    until(lambda: loop.job(folder.name)["status"] == "Canceled", "Azure ML has cancelled", CANCELLED_WITHIN)
    left = [process for process in psutil.process_iter(["cmdline"]) if str(folder) in (process.info["cmdline"] or [])]
    assert [*loop.commands(), *left] == []
    loop.ended(run, "failed")


@pytest.fixture(scope="module")
def days():
    return iter(_days(21, 11) + [f"2014-02-{day:02d}" for day in range(1, 15)])


def _carries_on(loop, run, day: str) -> None:
    """The run ends well, validation follows, and nothing was copied twice."""
    loop.ended(run)
    loop.followed("validate", f"{day}..{day}")
    sites = [one["parameters"]["site"] for one in loop.factory_runs(day)]
    assert sorted(sites) == sorted(loop.home.sites), "each site was copied once"
    assert day in loop.validated()


@pytest.mark.parametrize("program", ["scheduler", "api-server", "cloud", "storage", "azurite-cloud"])
def test_an_ingest_outlives_the_death_of(program, loop, until, days):
    day = next(days)
    with loop.slow_landing(8, 2):
        run = loop.ingest(day)
        until(_copying(loop, run, day), "Data Factory copies")
        # Azurite holds what it acknowledged in memory for some seconds: it is the one that is asked to end.
        loop.kill(program, signal.SIGTERM if program.startswith("azurite") else signal.SIGKILL)
    _carries_on(loop, run, day)
    until(loop.well, "everything is well again")


def test_an_ingest_outlives_the_death_of_its_task(loop, until, days):
    day = next(days)
    with loop.slow_landing(8, 2):
        run = loop.ingest(day)
        until(_copying(loop, run, day), "Data Factory copies")
        task = loop.task(run, "copy", 0)
        psutil.Process(int(task["pid"])).kill()
    _carries_on(loop, run, day)


def test_an_ingest_outlives_the_death_of_everything_around_it(loop, until, days):
    """Programs that an ingest does not need, all at once."""
    day = next(days)
    with loop.slow_landing(8, 2):
        run = loop.ingest(day)
        until(_copying(loop, run, day), "Data Factory copies")
        site = loop.home.sites[0]
        for program in ("triggerer", "dag-processor", "registries", f"kubernetes-{site}", f"node-{site}"):
            loop.kill(program)
    _carries_on(loop, run, day)
    until(loop.well, "everything is well again")
