import uuid
from datetime import UTC, datetime, timedelta

import pytest

from edgeloop.exceptions import NothingToDo, Refused
from edgeloop.hooks.lake import LakeHook
from edgeloop.stages import ingest
from include.domain.windows import WindowError

PLANNED = {"windowStart": "2013-02-01", "windowEnd": "2013-02-03"}


def test_a_scheduled_run_brings_in_the_day_of_its_partition_for_every_site():
    assert ingest.plan("wind_power", {"window_start": None, "window_end": None, "sites": ["north", "south"]}, "2014-01-01") == [
        {"site": "north", "windowStart": "2014-01-01", "windowEnd": "2014-01-01"},
        {"site": "south", "windowStart": "2014-01-01", "windowEnd": "2014-01-01"},
    ]


def test_the_form_comes_before_the_partition_and_a_site_is_planned_once():
    params = {"window_start": "2014-01-01", "window_end": "2014-12-31", "sites": ["south", "south"]}
    assert ingest.plan("wind_power", params, "2020-01-01") == [{"site": "south", "windowStart": "2014-01-01", "windowEnd": "2014-12-31"}]
    assert len(ingest.plan("wind_power", {"window_start": "2014-01-01"}, None)) == 2


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"window_start": "2014-02-01", "window_end": "2014-01-01"}, WindowError, "swap First day and Last day"),
        ({"window_start": (datetime.now(UTC) + timedelta(days=1)).date().isoformat()}, WindowError, "is not over yet"),
        ({}, WindowError, "enter First day"),
        (
            {"window_start": "2014-01-01", "sites": ["west"]},
            Refused,
            "site 'west' does not belong to workload wind_power: choose from north, south",
        ),
        ({"window_start": "2014-01-01", "sites": []}, Refused, "no site of workload wind_power is chosen"),
    ],
)
def test_what_cannot_be_planned_says_what_to_enter(params, error, message):
    with pytest.raises(error, match=message):
        ingest.plan("wind_power", params, None)


@pytest.fixture
def workload(storage, connections):
    return f"farm_{uuid.uuid4().hex[:8]}"


def put(workload, site, day, content=b"x"):
    LakeHook().write(f"{workload}/raw/site={site}/date={day}/measurements.parquet", content)


def test_every_partition_of_the_window_has_to_be_there(workload):
    for day in ("2013-02-01", "2013-02-02", "2013-02-03", "2013-02-04"):
        put(workload, "north", day)
    landed = ingest.land(workload, [{"site": "north", **PLANNED}])
    assert landed == {"window": "2013-02-01..2013-02-03", "sites": ["north"], "partitions": 3, "bytes": 3}
    put(workload, "south", "2013-02-01")
    put(workload, "south", "2013-02-02", b"")
    with pytest.raises(NothingToDo, match=r"the lake lacks site south day 2013-02-02, site south day 2013-02-03 of farm_\w+/raw: compare"):
        ingest.land(workload, [{"site": site, **PLANNED} for site in ("north", "south")])


def test_many_missing_partitions_are_counted(workload):
    with pytest.raises(NothingToDo, match="day 2013-02-05 and 360 more of"):
        ingest.land(workload, [{"site": "north", "windowStart": "2013-02-01", "windowEnd": "2014-01-31"}])
    with pytest.raises(NothingToDo, match="choose at least one under Sites"):
        ingest.land(workload, [])
