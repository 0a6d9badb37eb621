"""The border policy: only what it names passes."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.border import ENVELOPE, UNKNOWN, Policy, PolicyError, apply
from include.domain.events import ANOMALY, FEEDBACK, INSIGHT, Event, Origin

FILE = Path(__file__).parents[3] / "include" / "workloads" / "wind_power" / "border.yaml"
RAW: dict[str, Any] = {
    "destination": "EU",
    "retention_days": 30,
    "smallest_group": 3,
    "time_minutes": 60,
    "jurisdictions": {
        "FR": {"events": [INSIGHT, FEEDBACK], "to": ["EU"]},
        "CH": {"events": [INSIGHT], "to": ["CH"]},
    },
    "events": {
        INSIGHT: {
            "turbine": {"action": "keep", "kind": "text", "pattern": "R[0-9]+"},
            "wind": {"action": "generalise", "kind": "number", "step": 0.5},
            "power": {"action": "generalise", "kind": "number", "edges": [0, 100, 1000]},
            "exact": {"action": "keep", "kind": "number"},
            "shift": {"action": "generalise", "kind": "time", "minutes": 1440},
            "running": {"action": "keep", "kind": "boolean"},
            "crew": {"action": "pseudonymise"},
            "comment": {"action": "drop"},
        },
        ANOMALY: {},
    },
}
POLICY = Policy.read(RAW)
ORIGIN = Origin("north", "FR", "wind_power", "sha256:" + "a" * 64, "unreleased", "sha256:" + "c" * 64)
EVENT = Event("019474b6-1c00-7abc-8def-0123456789ab", INSIGHT, datetime(2015, 1, 3, 10, 29, 59, tzinfo=UTC), ORIGIN, {})
KEY = b"secret of north"


def row(**data: Any) -> dict[str, Any]:
    outcome = apply(POLICY, replace(EVENT, data=data), KEY)
    assert outcome.refused is None
    assert outcome.row is not None
    return {name: value for name, value in outcome.row.items() if name not in ENVELOPE}


def test_the_envelope_passes_with_a_coarser_time() -> None:
    outcome = apply(POLICY, EVENT, KEY)
    assert outcome.row == {
        "id": EVENT.id,
        "type": INSIGHT,
        "time": datetime(2015, 1, 3, 10, tzinfo=UTC),
        "site": "north",
        "jurisdiction": "FR",
        "workload": "wind_power",
        "modeldigest": ORIGIN.modeldigest,
        "release": "unreleased",
        "snapshot": ORIGIN.snapshot,
    }


def test_each_action() -> None:
    assert row(turbine="R80711", wind=7.3, power=99.9, exact=1.23456, running=True, shift="2015-01-03T23:30:00+01:00") == {
        "turbine": "R80711",
        "wind": 7.5,
        "power": 0,
        "exact": 1.23456,
        "running": True,
        "shift": datetime(2015, 1, 3, tzinfo=UTC),
    }
    assert row(power=-1, wind=None) == {"power": None, "wind": None}
    assert row(power=1e6) == {"power": 1000}


def test_a_pseudonym_is_stable_at_one_site_and_tells_nothing() -> None:
    one, two = row(crew="Anna"), row(crew="Anna")
    assert one == two
    assert "Anna" not in str(one)
    other = apply(POLICY, replace(EVENT, data={"crew": "Anna"}), b"secret of south")
    assert other.row is not None
    assert other.row["crew"] != one["crew"]


def test_dropped_fields_are_counted_and_unknown_names_are_not_told() -> None:
    outcome = apply(POLICY, replace(EVENT, data={"comment": "call Anna", "phone of Anna": 1, "also": 2, "id": "x"}), KEY)
    assert outcome.dropped == {"comment": 1, UNKNOWN: 3}
    assert "Anna" not in str(outcome)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": ANOMALY}, "jurisdiction"),
        ({"origin": replace(ORIGIN, jurisdiction="DE")}, "jurisdiction"),
        ({"origin": replace(ORIGIN, jurisdiction="CH")}, "destination"),
        ({"type": FEEDBACK}, "event_type"),
        ({"data": {"turbine": "Anna's"}}, "field_value"),
        ({"data": {"exact": "Anna"}}, "field_value"),
        ({"data": {"exact": True}}, "field_value"),
        ({"data": {"running": 1}}, "field_value"),
        ({"data": {"shift": "at noon"}}, "field_value"),
        ({"data": {"wind": "7"}}, "field_value"),
    ],
)
def test_what_may_not_leave_is_refused(change: dict[str, Any], reason: str) -> None:
    outcome = apply(POLICY, replace(EVENT, **change), KEY)
    assert (outcome.row, outcome.refused, outcome.dropped) == (None, reason, {})


TOKEN = "Anna-4711"
PLANTED = st.one_of(st.just(TOKEN), st.text(max_size=20).map(lambda text: text + TOKEN), st.floats(allow_nan=False, allow_infinity=False))
NAMES = st.one_of(st.sampled_from([*RAW["events"][INSIGHT], *ENVELOPE]), st.text(max_size=12).map(lambda text: text + TOKEN))


@settings(deadline=None)
@given(st.dictionaries(NAMES, PLANTED | st.none() | st.booleans(), max_size=20))
def test_nothing_outside_the_list_ever_leaves(data: dict[str, Any]) -> None:
    outcome = apply(POLICY, replace(EVENT, data=data), KEY)
    assert TOKEN not in repr(outcome)
    if outcome.row is not None:
        assert set(outcome.row) <= {*ENVELOPE, *POLICY.columns()}
        assert "comment" not in outcome.row
        kept = [name for name in data if name in outcome.row and name not in ENVELOPE]
        assert len(kept) + sum(outcome.dropped.values()) + ("time" in data) == len(data)


@settings(deadline=None)
@given(st.floats(-1e300, 1e300), st.sampled_from([0.01, 0.1, 0.5, 7.0]))
def test_rounding_stays_near_and_is_stable(value: float, step: float) -> None:
    policy = Policy.read({**RAW, "events": {INSIGHT: {"v": {"action": "generalise", "kind": "number", "step": step}}}})
    once = apply(policy, replace(EVENT, data={"v": value}), KEY).row
    assert once is not None
    assert abs(once["v"] - value) <= step / 2 + abs(value) * 1e-12 + 1e-9
    assert apply(policy, replace(EVENT, data={"v": once["v"]}), KEY).row == once


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("events", INSIGHT, "turbine"), {"action": "keep"}, "turbine: a text is kept only by a pattern"),
        (("events", INSIGHT, "turbine"), {"action": "show"}, "no action 'show'"),
        (("events", INSIGHT, "wind"), {"action": "generalise", "kind": "number"}, "generalise needs"),
        (("events", INSIGHT, "wind"), {"action": "generalise", "kind": "number", "step": 1, "edges": [1]}, "generalise needs"),
        (("events", INSIGHT, "wind"), {"action": "generalise", "kind": "number", "edges": [2, 1]}, "generalise needs"),
        (("events", INSIGHT, "shift"), {"action": "generalise", "kind": "time", "minutes": 7}, "minutes that divide a day"),
        (("events", INSIGHT, "turbine"), {"action": "drop", "why": "?"}, "why"),
        (("retention_days",), 0, "retention_days is a whole number"),
        (("time_minutes",), None, "minutes"),
        (("jurisdictions", "FR"), {"events": []}, "lacks 'to'"),
    ],
)
def test_a_policy_that_cannot_be_used_says_where(path: tuple[str, ...], value: Any, says: str) -> None:
    raw = copy.deepcopy(RAW)
    place = raw
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(PolicyError, match=says):
        Policy.read(raw)


def test_the_workloads_policy_keeps_words_of_people_at_the_site() -> None:
    policy = Policy.read(yaml.safe_load(FILE.read_text()))
    assert set(policy.fields) == {INSIGHT, ANOMALY, FEEDBACK}
    data = {"turbine": "R80711", "label": "confirmed", "event": EVENT.id, "comment": "Anna saw ice", "expected": 99.99, "power_kw": 1}
    outcome = apply(policy, replace(EVENT, type=FEEDBACK, data=data), KEY)
    assert outcome.row is not None
    assert outcome.row["expected"] == 100.0
    assert "comment" not in outcome.row
    assert "comment" not in policy.columns()
    assert outcome.dropped == {"comment": 1}


def test_the_digest_names_the_content() -> None:
    assert Policy.read(json.loads(json.dumps(RAW))).digest == POLICY.digest
    assert Policy.read({**RAW, "retention_days": 31}).digest != POLICY.digest
