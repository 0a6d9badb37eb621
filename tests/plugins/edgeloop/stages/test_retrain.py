"""The state of the lake becomes one request, and a retry the same one."""

from datetime import date

import pyarrow as pa
import pytest

from edgeloop import ledger
from edgeloop.stages import retrain
from include.domain import naming
from include.workloads import load

WORKLOAD = "wind_power"
BY_HAND = {"window_start": None, "window_end": None, "reason": None}


@pytest.fixture
def validated(lake):
    """Mark days as validated."""

    def put(*days: str) -> None:
        for site in load(WORKLOAD).sites:
            for day in days:
                name = naming.partition(WORKLOAD, "validated", site, date.fromisoformat(day), "measurements.parquet")
                lake.write_table(name, pa.table({"x": [1.0]}))

    return put


@pytest.fixture
def answered(lake):
    """Let people answer, in one more partition."""

    def put(day: str, rows: int) -> None:
        name = naming.partition(WORKLOAD, "feedback", "north", date.fromisoformat(day), "answers.parquet")
        lake.write_table(name, pa.table({"label": ["confirmed"] * rows}))

    return put


def decide(run: str, kind: str = "manual", **params):
    return retrain.decide(WORKLOAD, BY_HAND | params, run_type=kind, run_id=run)


def test_an_empty_lake_trains_nothing(lake) -> None:
    assert decide("r1") == {"request": None, "reason": "there is no validated partition yet: run ingest for a window first"}
    assert ledger.read(WORKLOAD, retrain.LAST, "request") is None


def test_a_request_by_hand_is_kept_under_its_id(validated) -> None:
    validated("2014-05-01", "2014-05-02", "2014-05-03")
    made = decide("manual__1", window_start="2014-05-01", window_end="2014-05-02", reason="new blades")
    assert made["window"] == "2014-05-01..2014-05-02"
    kept = ledger.read(WORKLOAD, made["request"], "request")
    assert kept is not None
    assert (kept["reason"], kept["source"], kept["run"]) == ("new blades", "manual", "manual__1")


@pytest.mark.parametrize("kind", ["manual", "scheduled", "asset_triggered"])
def test_a_retry_gives_the_same_request(validated, answered, kind: str) -> None:
    validated("2014-05-01", "2014-05-02")
    answered("2014-05-01", 100)
    made = decide("run", kind)
    assert made["request"] is not None, made
    assert decide("run", kind) == made


def test_a_try_that_died_before_it_could_remember_is_remembered_by_the_next(validated, lake) -> None:
    validated("2014-05-01")
    made = decide("run", "scheduled")
    (last,) = [blob.name for blob in lake.blobs(f"{WORKLOAD}/ledger/{retrain.LAST}/")]
    lake.delete(last)
    assert decide("run", "scheduled") == made
    assert decide("next", "scheduled")["reason"] == "nothing new since the last request, which trained on 2014-05-01..2014-05-01"


def test_a_cleared_run_of_the_past_does_not_become_the_last(validated) -> None:
    validated("2014-05-01")
    old = decide("old", "scheduled")
    ledger_of = f"{WORKLOAD}/ledger/{old['request']}/request.json"
    _made_earlier(ledger_of)
    validated("2014-05-02")
    new = decide("new", "scheduled")
    assert decide("old", "scheduled") == old
    last = ledger.read(WORKLOAD, retrain.LAST, "request")
    assert last is not None
    assert last["request"] == new["request"]


def _made_earlier(blob: str) -> None:
    import json

    from edgeloop.hooks.lake import LakeHook

    said = json.loads(LakeHook().read_or_none(blob) or b"{}") | {"recorded_at": "2014-06-01T00:00:00+00:00"}
    LakeHook().write(blob, json.dumps(said).encode(), "application/json")


def test_answers_count_from_the_last_request_on(validated, answered) -> None:
    enough = load(WORKLOAD).retraining.feedback_events
    validated("2014-05-01")
    answered("2014-05-01", enough)
    assert decide("r1", "manual")["request"]
    answered("2014-05-02", enough - 1)
    told = decide("r2", "asset_triggered")
    assert told == {"request": None, "reason": f"{enough - 1} answers since the last request, {enough} start a training"}
