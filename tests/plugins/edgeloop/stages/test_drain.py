"""The stage: from a site's queue to the lake, through the hooks, with counts for Airflow and an entry for the ledger."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest
from uuid6 import uuid7

from edgeloop import ledger
from edgeloop.exceptions import ConnectionIncomplete
from edgeloop.hooks.lake import LakeHook
from edgeloop.hooks.storage import StorageHook
from edgeloop.stages import drain as stage

WORKLOAD = "wind_power"


def event(site: str = "north", **change: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(uuid7()),
        "source": f"/sites/{site}/workloads/{WORKLOAD}",
        "type": "edgeloop.insight",
        "time": "2015-01-03T10:29:00Z",
        "site": site,
        "jurisdiction": "FR",
        "workload": WORKLOAD,
        "modeldigest": "sha256:" + "a" * 64,
        "release": "sha256:" + "b" * 64,
        "snapshot": "sha256:" + "c" * 64,
        "data": {"turbine": "R80711", "wind_speed_ms": 7.123, "power_kw": 500.04, "expected": 600, "residual": -99.96, "vane_deg": 1},
        **change,
    }


@pytest.fixture
def queue(storage: Any, connections: Any) -> Iterator[Any]:
    client = StorageHook("edgeloop_storage_north").queue("wind-power")
    client.clear_messages()
    yield client
    client.clear_messages()


def send(queue: Any, *events: Any) -> None:
    queue.send_message(base64.b64encode(json.dumps(events).encode()).decode())


def test_a_site_is_drained(queue: Any) -> None:
    answered = event()
    feedback = event(
        type="edgeloop.feedback",
        time="2015-01-04T00:00:00Z",
        data={**answered["data"], "event": answered["id"], "label": "false_alarm", "comment": "Anna saw ice"},
    )
    send(queue, answered, event(jurisdiction="DE"), event(type="edgeloop.other"), feedback)
    said = stage.drain_site(WORKLOAD, "north")
    files = said.pop("files")
    sequence = said.pop("sequence")
    assert said == {
        "site": "north",
        "received": 4,
        "stored": 2,
        "refused": {"jurisdiction": 1},
        "poisoned": {"type": 1},
        "duplicates": 0,
        "dropped": {"vane_deg": 2, "comment": 1},
        "feedback": 1,
    }
    assert len(files) == 1
    json.dumps(said)
    lake = LakeHook()
    name = f"{WORKLOAD}/feedback/site=north/date=2015-01-04/{sequence:020d}.parquet"
    (row,) = pq.read_table(io.BytesIO(lake.read(name))).to_pylist()
    assert {key: row[key] for key in ("turbine", "wind_speed_ms", "power_kw", "label", "event")} == {
        "turbine": "R80711",
        "wind_speed_ms": 7.12,
        "power_kw": 500.0,
        "label": "false_alarm",
        "event": answered["id"],
    }
    assert "Anna" not in str(row)

    again = stage.drain_site(WORKLOAD, "north")
    assert (again["received"], again["feedback"], again["sequence"]) == (0, 0, -1)

    lake.delete(name)
    lake.delete(f"{WORKLOAD}/state/feedback/site=north.json")
    assert stage.drain_site(WORKLOAD, "north")["feedback"] == 1, "what a crash has left out is made up for"
    assert lake.read_or_none(name)


def report(site: str, received: int, sequence: int) -> dict[str, Any]:
    return {"site": site, "received": received, "stored": received, "refused": {}, "files": ["x"] * received, "sequence": sequence}


def test_the_ledger_says_what_was_drained(storage: Any, connections: Any) -> None:
    reports = [report("south", 0, -1), report("north", 3, 7)]
    facts = stage.record(WORKLOAD, reports)
    assert facts is not None
    assert facts["stored"] == 3
    assert facts["sites"]["north"]["sequence"] == 7
    entry = ledger.read(WORKLOAD, "insights", "north_7-south_-1")
    assert entry is not None
    assert entry["sites"] == facts["sites"]


def test_nothing_received_is_nothing_to_record() -> None:
    assert stage.record(WORKLOAD, [report("north", 0, -1), report("south", 0, -1)]) is None


def test_a_site_without_a_key_for_pseudonyms_is_not_drained(queue: Any, connections: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.loads(json.dumps(connections["edgeloop_storage_north"]))
    del said["extra"]["pseudonym_key"]
    monkeypatch.setenv("AIRFLOW_CONN_EDGELOOP_STORAGE_NORTH", json.dumps(said))
    with pytest.raises(ConnectionIncomplete, match="lacks 'pseudonym_key'"):
        stage.drain_site(WORKLOAD, "north")
