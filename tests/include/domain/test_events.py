"""Events: what is taken, what is refused and why, and how they are packed."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain import events
from include.domain.events import InvalidEvent, Origin, validate

ID = "019474b6-1c00-7abc-8def-0123456789ab"
GOOD: dict[str, Any] = {
    "specversion": "1.0",
    "id": ID,
    "source": "/sites/north/workloads/wind_power",
    "type": "edgeloop.insight",
    "time": "2015-01-03T10:20:00Z",
    "site": "north",
    "jurisdiction": "FR",
    "workload": "wind_power",
    "modeldigest": "sha256:" + "a" * 64,
    "release": "sha256:" + "b" * 64,
    "snapshot": "sha256:" + "c" * 64,
    "data": {"turbine": "R80711", "power_kw": 1.5, "expected": 2, "residual": None},
}


def check(raw: object) -> events.Event:
    return validate(raw, workload="wind_power", site="north")


def test_a_good_event_is_read_and_written_the_same() -> None:
    event = check(GOOD)
    assert event.origin == Origin("north", "FR", "wind_power", GOOD["modeldigest"], GOOD["release"], GOOD["snapshot"])
    assert event.time == datetime(2015, 1, 3, 10, 20, tzinfo=UTC)
    assert event.to_dict() == GOOD


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "7"}, "attribute"),
        ({"id": ID.replace("-7abc", "-4abc")}, "attribute"),
        ({"id": "ffffffff-ffff-7abc-8def-0123456789ab"}, "id"),
        ({"type": "edgeloop.other"}, "type"),
        ({"time": "yesterday"}, "attribute"),
        ({"time": "2015-02-30T00:00:00Z"}, "attribute"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "attribute"),
        ({"site": "south"}, "origin"),
        ({"source": "/sites/south/workloads/wind_power"}, "origin"),
        ({"modeldigest": "sha256:short"}, "attribute"),
        ({"note": "call Anna"}, "attribute"),
        ({"data": None}, "data"),
        ({"data": {"x": {"y": 1}}}, "data"),
        ({"data": {"x": [1]}}, "data"),
        ({"data": {"x": float("nan")}}, "not_json"),
        ({"data": {"x": "\ud800"}}, "not_json"),
        ({"data": {"x": 10**400}}, "data"),
        ({"data": {"x": "y" * 2001}}, "data"),
        ({"data": {"x" * 65: 1}}, "data"),
        ({"data": {f"f{n}": n for n in range(65)}}, "data"),
        ({"data": {f"f{n}": "ü" * 2000 for n in range(20)}}, "too_large"),
        ({"type": "edgeloop.feedback"}, "data"),
    ],
)
def test_what_is_wrong_has_a_code(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        check({**GOOD, **change})
    assert caught.value.reason == reason


@pytest.mark.parametrize("raw", [None, 1, "x", [GOOD]])
def test_what_is_no_object_is_no_event(raw: object) -> None:
    with pytest.raises(InvalidEvent, match="not_an_object"):
        check(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@settings(deadline=None)
@given(st.sampled_from(sorted(GOOD)), JSON)
def test_anything_at_any_place_is_an_event_or_a_reason(name: str, value: Any) -> None:
    with suppress(InvalidEvent):
        event = check({**GOOD, name: value})
        assert len(events.to_json(event.to_dict())) <= events.LARGEST_EVENT


def test_the_id_says_when_it_was_made() -> None:
    assert events.made_at("017f22e2-79b0-7cc3-98c4-dc0c0c07398f") == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)  # RFC 9562, A.6


def test_a_release_is_its_digest() -> None:
    digest = "sha256:" + "1" * 64
    assert events.release_digest(f"localhost:1/edgeloop/x@{digest}") == digest
    assert events.release_digest(digest) == digest
    assert events.release_digest("") == events.release_digest(None) == events.release_digest("x:latest") == "unreleased"


def test_times_without_a_zone_are_utc() -> None:
    assert events.stamp(events.instant("2015-01-03T10:20")) == "2015-01-03T10:20:00Z"
    assert events.stamp(events.instant("2015-01-03T10:20:00+02:00")) == "2015-01-03T08:20:00Z"


@settings(deadline=None)
@given(st.lists(st.integers(2, 30_000).map(lambda size: b"1" * size), max_size=400))
def test_messages_hold_every_event_once_in_order_and_within_the_limits(bodies: list[bytes]) -> None:
    packed = list(events.pack(bodies))
    assert [body for part in packed for body in part] == bodies
    for part in packed:
        assert 0 < len(part) <= events.LARGEST_BATCH
        assert len(events.message(part)) <= events.LARGEST_MESSAGE
    for part, after in pairwise(packed):
        assert len(part) == events.LARGEST_BATCH or len(events.message([*part, after[0]])) > events.LARGEST_MESSAGE


def test_an_event_that_fits_in_no_message_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        list(events.pack([b"x" * 48_000]))


def test_a_message_is_a_json_array() -> None:
    assert json.loads(events.message([events.to_json(GOOD), events.to_json(GOOD)])) == [GOOD, GOOD]
