"""The drain against a real queue and a real container: exactly once, whatever happens on the way."""

import base64
import io
import json
import threading
from datetime import UTC, date, datetime
from typing import Any

import pyarrow.parquet as pq
import pytest
from azure.core.exceptions import HttpResponseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uuid6 import uuid7

from include.border import drain as draining
from include.border.replay import replay
from include.border.store import Commit, Log, StoreError, committed


def test_events_become_rows_and_the_queue_is_empty(site: Any) -> None:
    events = [site.event() for _ in range(5)]
    site.send(*events[:3])
    site.send(*events[3:])
    report = site.drain()
    rows = site.stored()
    assert sorted(row["id"] for row in rows) == sorted(event["id"] for event in events)
    assert set(rows[0]) == {
        *("id", "type", "time", "site", "jurisdiction", "workload", "modeldigest", "release", "snapshot"),
        *("turbine", "power_kw", "label", "event"),
    }
    assert rows[0]["time"] == datetime(2015, 1, 3, 10, 20, tzinfo=UTC)
    assert rows[0]["power_kw"] == 100.0
    assert (report.received, report.stored, report.duplicates, report.dropped) == (5, 5, 0, {"(unknown)": 5})
    assert (report.sequence, len(report.files), site.left()) == (0, 1, 0)
    assert f"{site.workload}/insights/site=north/date={date.today()}" in report.files[0] or report.files


def test_an_empty_queue_makes_no_commit(site: Any) -> None:
    report = site.drain()
    assert (report.received, report.sequence, site.stored()) == (0, -1, [])


def test_duplicates_are_stored_once(site: Any) -> None:
    event = site.event()
    site.send(event, event)
    site.send(event)
    first = site.drain()
    site.send(event)
    second = site.drain()
    assert len(site.stored()) == 1
    assert (first.stored, first.duplicates) == (1, 2)
    assert (second.stored, second.duplicates, second.sequence) == (0, 1, -1)


def test_a_duplicate_of_long_ago_is_known(site: Any) -> None:
    """The log is read back to when the event was made, not for a fixed time."""
    old = f"017f22e2-79b0-{str(uuid7())[14:]}"
    site.send(site.event(id=old))
    site.drain()
    for _ in range(3):
        site.send(site.event())
        site.drain()
    site.send(site.event(id=old))
    assert site.drain().duplicates == 1
    assert len(site.stored()) == 4


def test_bad_events_go_to_the_poison_queue_and_do_not_spoil_the_others(site: Any) -> None:
    bad = site.event(type="edgeloop.other")
    future = site.event(id=f"0fffffff-79b0-{str(uuid7())[14:]}")
    site.send(site.event(), bad, 7, future)
    site.queue.send_message("this is not base64")
    site.queue.send_message(base64.b64encode(b"[" * 20_000).decode())
    report = site.drain()
    assert report.received == report.stored + report.poisoned.total() == 6
    assert report.poisoned == {"type": 1, "not_an_object": 1, "id": 1, "not_json": 2}
    found = {poison["reason"]: poison for poison in site.poisoned()}
    assert found["type"]["event"] == bad
    assert set(found["type"]) == {"event", "reason", "detail", "message_id", "at"}
    assert len(site.poisoned()) == 5
    assert len(site.stored()) == 1


def test_a_large_event_that_cannot_be_stored_fits_in_the_poison_queue(site: Any) -> None:
    site.send(site.event(data={"x": "\\" * 20_000}))
    site.queue.send_message("!" * 60_000)
    assert site.drain().poisoned == {"too_large": 1, "not_json": 1}
    assert [poison["event"].get("cut") for poison in site.poisoned() if poison["reason"] == "not_json"] == [True]


def test_refused_events_are_settled(site: Any) -> None:
    event = site.event(jurisdiction="DE")
    site.send(event, site.event(data={"power_kw": "a text"}))
    report = site.drain()
    assert report.refused == {"jurisdiction": 1, "field_value": 1}
    assert (report.stored, report.files, site.stored(), site.poisoned()) == (0, [], [], [])
    site.send(event)
    assert site.drain().duplicates == 1


def test_a_poisoned_event_can_be_put_back(site: Any) -> None:
    event = site.event(type="edgeloop.other")
    good = site.event()
    site.send(event, good)
    site.queue.send_message("rubbish")
    site.drain()
    assert replay(site.poison, site.queue, reason="another").put_back == 0
    done = replay(site.poison, site.queue)
    assert (done.put_back, done.kept) == (1, 1)
    report = site.drain()
    assert report.poisoned == {"type": 1}, "still invalid: back in the poison queue, not taken for a duplicate"
    assert [poison["event"] for poison in site.poisoned() if poison["reason"] == "not_json"] == ["rubbish"]
    (again,) = (poison["event"] for poison in site.poisoned() if poison["reason"] == "type")
    assert {**event, "replayof": again["replayof"]} == again


class First:
    """A container whose first commit finds that another drain was faster."""

    def __init__(self, container: Any, rival: Any) -> None:
        self._container, self._rival = container, rival

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def upload_blob(self, name: str, *rest: Any, **more: Any) -> Any:
        if "/_log/" in name and self._rival:
            rival, self._rival = self._rival, None
            rival()
        return self._container.upload_blob(name, *rest, **more)


def test_the_loser_of_a_commit_takes_out_what_the_winner_stored(site: Any) -> None:
    shared, own, theirs = site.event(), site.event(), site.event()

    def rival() -> None:
        site.send(shared, theirs)
        assert site.drain().stored == 2

    site.send(shared, own)
    report = site.drain(First(site.container, rival))
    assert (report.stored, report.duplicates, report.sequence) == (1, 1, 1)
    assert sorted(row["id"] for row in site.stored()) == sorted(e["id"] for e in (shared, own, theirs))


class Deaf:
    """A container that does every upload and loses the answer: the SDK's retry then meets its own blob."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def upload_blob(self, *rest: Any, **more: Any) -> Any:
        self._container.upload_blob(*rest, **more)
        return self._container.upload_blob(*rest, **more)


def test_a_lost_answer_is_no_conflict(site: Any) -> None:
    site.send(site.event(), site.event(jurisdiction="DE"))
    assert site.drain(Deaf(site.container)).stored == 1
    assert [commit.sequence for commit in committed(site.container, site.workload, "north")] == [0]
    assert len(site.stored()) == 1


class Failing:
    """A container that refuses one upload."""

    def __init__(self, container: Any, part: str) -> None:
        self._container, self._part = container, part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def upload_blob(self, name: str, *rest: Any, **more: Any) -> Any:
        if self._part in name:
            raise HttpResponseError("the disk is full")
        return self._container.upload_blob(name, *rest, **more)


@pytest.mark.parametrize("part", ["/_log/", ".parquet"])
def test_a_store_that_fails_leaves_the_messages(site: Any, part: str) -> None:
    site.send(site.event())
    with pytest.raises(HttpResponseError, match="disk is full"):
        site.drain(Failing(site.container, part))
    assert site.left() == 1
    assert site.stored() == []


def test_two_drains_at_once(site: Any) -> None:
    events = [site.event() for _ in range(60)]
    for start in range(0, 60, 2):
        site.send(*events[start : start + 3])
    start_together = threading.Barrier(2)
    reports: list[Any] = []

    def work() -> None:
        start_together.wait()
        reports.append(site.drain())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    total = reports[0] + reports[1]
    assert sorted(row["id"] for row in site.stored()) == sorted(event["id"] for event in events)
    assert total.stored == 60
    assert total.received == total.stored + total.duplicates
    assert site.left() == 0


def test_a_message_is_renewed_while_it_is_worked_on(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "VISIBILITY", 2)
    site.send(site.event())
    seen: list[int] = []

    def slow() -> None:
        done = threading.Event()
        done.wait(3)
        seen.append(len(list(site.queue.receive_messages(visibility_timeout=1))))

    assert site.drain(First(site.container, slow)).stored == 1
    assert seen == [0], "nobody else saw the message, although its visibility timeout was over"
    assert site.left() == 0


KINDS = ("good", "good", "good", "refused", "invalid")


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6) | st.none(), max_size=6))
def test_the_equation_holds_for_any_order_of_sends_and_drains(site: Any, steps: list[list[int] | None]) -> None:
    change = {"good": {}, "refused": {"jurisdiction": "DE"}, "invalid": {"type": "edgeloop.other"}}
    pool = [site.event(**change[KINDS[n % len(KINDS)]]) for n in range(10)]
    before = len(site.stored()), site.refused(), len({poison["event"]["id"] for poison in site.poisoned()})
    sent: set[int] = set()
    reports = []
    for step in [*steps, None]:
        if step is None:
            reports.append(site.drain())
        else:
            sent |= set(step)
            site.send(*[pool[n] for n in step])
    expected = [sum(KINDS[n % len(KINDS)] == kind for n in sent) for kind in ("good", "refused", "invalid")]
    total = sum(reports[1:], reports[0])
    assert [total.stored, total.refused.total(), total.poisoned.total()] == expected
    assert total.received == total.stored + total.refused.total() + total.poisoned.total() + total.duplicates
    assert [len(site.stored()) - before[0], site.refused() - before[1]] == expected[:2]
    list(site.poison.receive_messages())
    site.poison.clear_messages()


def test_the_same_rows_are_the_same_bytes_and_have_fixed_types(site: Any) -> None:
    site.send(site.event(data={}))
    name = site.drain().files[0]
    schema = pq.read_schema(io.BytesIO(site.container.download_blob(name).readall()))
    assert str(schema.field("time").type) == "timestamp[us, tz=UTC]"
    assert str(schema.field("power_kw").type) == "double"
    assert str(schema.field("turbine").type) == "string"


def test_a_log_with_a_gap_is_an_error(site: Any) -> None:
    site.send(site.event())
    site.drain()
    site.container.upload_blob(f"{site.workload}/insights/site=north/_log/{2:020d}.json", b"{}")
    with pytest.raises(StoreError, match="has a gap"):
        Log.open(site.container, site.workload, "north")


def test_a_commit_reads_as_it_was_written(site: Any) -> None:
    site.send(site.event(), site.event(type="edgeloop.other"), site.event(jurisdiction="DE"))
    site.drain()
    (commit,) = committed(site.container, site.workload, "north")
    assert Commit.read(0, commit.to_json()) == commit
    said = json.loads(commit.to_json())
    assert set(said) == {"drain", "files", "ids", "refused", "poisoned", "policy"}
    assert (len(said["ids"]), said["refused"], [*said["poisoned"].values()]) == (2, {"jurisdiction": 1}, ["type"])
    with pytest.raises(StoreError, match="commit 0"):
        Commit.read(0, b"{}")
