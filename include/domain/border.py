"""The border: what of an event may leave its site. Only what a policy names passes; whatever it does not name stays."""

import hashlib
import hmac
import json
import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from include.domain.events import Event, Scalar, instant

Kind = Literal["number", "text", "time", "boolean"]
Value = Scalar | datetime
UNKNOWN = "(unknown)"
"""What dropped fields that the policy does not name are counted under: a name somebody made up could itself tell something."""

ENVELOPE = ("id", "type", "time", "site", "jurisdiction", "workload", "modeldigest", "release", "snapshot")
"""Columns of every row, from the event's attributes, whose shapes `include.domain.events` fixes."""


class PolicyError(ValueError):
    """A border.yaml that cannot be used; the message names the key."""


class _WrongValue(ValueError):
    """A value that is not of the kind the policy allows."""


@dataclass(frozen=True)
class Rule:
    """What happens to one field. Exactly these actions exist; a value of another kind than `kind` refuses its event."""

    action: Literal["keep", "drop", "generalise", "pseudonymise"]
    kind: Kind = "text"
    pattern: str | None = None
    """A kept text matches it as a whole; without one a text is never kept."""
    step: float | None = None
    """Generalised numbers: rounded to a multiple of it."""
    edges: tuple[float, ...] = ()
    """Generalised numbers, instead: the bucket's lower edge; values below the first edge have none (null)."""
    minutes: int | None = None
    """Generalised times: cut to so many minutes of the day (60: the hour, 1440: the day)."""

    def __post_init__(self) -> None:
        if self.action == "keep" and self.kind == "text" and not self.pattern:
            raise PolicyError("a text is kept only by a pattern that it has to match")
        if self.action == "generalise" and not self._is_whole():
            raise PolicyError("generalise needs a step > 0 or edges (number), or minutes that divide a day (time)")

    def _is_whole(self) -> bool:
        if self.kind == "time":
            return self.minutes is not None and 0 < self.minutes <= 1440 and 1440 % self.minutes == 0
        rising = bool(self.edges) and list(self.edges) == sorted(set(self.edges))
        return self.kind == "number" and ((self.step is not None and self.step > 0) != rising)

    def value(self, value: Scalar, key: bytes) -> Value:
        """What of the value passes. Null stays null."""
        if value is None:
            return None
        typed = _typed(value, self.kind, self.pattern)
        if self.action == "pseudonymise":
            return hmac.new(key, str(typed).encode(), hashlib.sha256).hexdigest()[:32]
        return self.general(typed) if self.action == "generalise" else typed

    def general(self, value: Value) -> Value:
        """The value, made coarser."""
        if isinstance(value, datetime):
            day = value.replace(hour=0, minute=0, second=0, microsecond=0)
            return day + (value - day) // timedelta(minutes=self.minutes or 1) * timedelta(minutes=self.minutes or 1)
        if not isinstance(value, float):
            raise _WrongValue
        if self.edges:
            place = bisect_right(self.edges, value)
            return self.edges[place - 1] if place else None
        step = self.step or 1.0
        rounded = round(value / step) * step if math.isfinite(value / step) else value
        return round(rounded, 9)


def _typed(value: Scalar, kind: Kind, pattern: str | None) -> Value:
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "number" and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if isinstance(value, str) and kind == "time":
        try:
            return instant(value)
        except ValueError as error:
            raise _WrongValue from error
    if isinstance(value, str) and kind == "text" and (pattern is None or re.fullmatch(pattern, value)):
        return value
    raise _WrongValue


@dataclass(frozen=True)
class Jurisdiction:
    """What sites of one jurisdiction may send, and where to."""

    events: frozenset[str]
    to: frozenset[str]


@dataclass(frozen=True)
class Policy:
    """border.yaml as typed values."""

    destination: str
    """Region of the compliant storage."""
    retention_days: int
    """How long what crossed the border is kept."""
    smallest_group: int
    """The fewest records that an aggregate may describe."""
    jurisdictions: Mapping[str, Jurisdiction]
    time_minutes: int
    """The event's own time is cut to so many minutes."""
    fields: Mapping[str, Mapping[str, Rule]]
    """By event type, by field. An event type that is not here is refused."""
    digest: str
    """`sha256:<hex>` of the file's content: commits name the policy that they were made by."""

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "Policy":
        """From the parsed border.yaml; PolicyError names what is missing or wrong."""
        try:
            lands = {name: Jurisdiction(frozenset(said["events"]), frozenset(said["to"])) for name, said in raw["jurisdictions"].items()}
            return cls(
                destination=raw["destination"],
                retention_days=_count(raw, "retention_days"),
                smallest_group=_count(raw, "smallest_group"),
                jurisdictions=lands,
                time_minutes=Rule("generalise", "time", minutes=raw["time_minutes"]).minutes or 1,
                fields={kind: {name: _rule(name, said) for name, said in rules.items()} for kind, rules in raw["events"].items()},
                digest="sha256:" + hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest(),
            )
        except KeyError as missing:
            raise PolicyError(f"border.yaml lacks {missing}") from missing
        except (TypeError, AttributeError) as wrong:
            raise PolicyError(f"border.yaml: {wrong}") from wrong

    def columns(self) -> dict[str, Kind]:
        """Columns of a row beyond the envelope, by name, in the order of the file; the same for all event types."""
        passing = [(name, rule) for rules in self.fields.values() for name, rule in rules.items() if rule.action != "drop"]
        return {name: "text" if rule.action == "pseudonymise" else rule.kind for name, rule in passing if name not in ENVELOPE}


def _count(raw: Mapping[str, Any], name: str) -> int:
    if not isinstance(raw[name], int) or raw[name] < 1:
        raise PolicyError(f"border.yaml: {name} is a whole number from 1 up, not {raw[name]!r}")
    return int(raw[name])


def _rule(name: str, said: Mapping[str, Any]) -> Rule:
    try:
        if said["action"] not in ("keep", "drop", "generalise", "pseudonymise"):
            raise PolicyError(f"there is no action {said['action']!r}")
        return Rule(**{**said, "edges": tuple(said.get("edges", ()))})
    except PolicyError as wrong:
        raise PolicyError(f"border.yaml: field {name}: {wrong}") from wrong


@dataclass(frozen=True)
class Outcome:
    """What became of an event: a row that may leave, or the code of the reason why nothing does."""

    row: Mapping[str, Value] | None
    refused: str | None
    dropped: Mapping[str, int]
    """How many fields did not pass, by name; those that the policy does not know together, under UNKNOWN."""


def apply(policy: Policy, event: Event, key: bytes) -> Outcome:
    """Decide about one event. `key`: the site's secret for pseudonyms; the same value gets the same pseudonym at one site only.

    Reasons: `jurisdiction`, `destination`, `event_type`, `field_value` (a field that may pass holds a value of another kind).
    """
    refused = _refused(policy, event)
    if refused:
        return Outcome(None, refused, {})
    rules = policy.fields[event.type]
    dropped: Counter[str] = Counter()
    row = _envelope(policy, event)
    for name, value in event.data.items():
        rule = rules.get(name)
        if name == "time":  # the event's own, by the rule that an event's time is its record's
            continue
        if rule is None or rule.action == "drop" or name in ENVELOPE:
            dropped[name if rule else UNKNOWN] += 1
            continue
        try:
            row[name] = rule.value(value, key)
        except _WrongValue:
            return Outcome(None, "field_value", {})
    return Outcome(row, None, dict(dropped))


def _refused(policy: Policy, event: Event) -> str | None:
    land = policy.jurisdictions.get(event.origin.jurisdiction)
    if land is None or event.type not in land.events:
        return "jurisdiction"
    if policy.destination not in land.to:
        return "destination"
    return None if event.type in policy.fields else "event_type"


def _envelope(policy: Policy, event: Event) -> dict[str, Value]:
    origin = event.origin
    time = Rule("generalise", "time", minutes=policy.time_minutes).general(event.time.astimezone(UTC))
    values: tuple[Value, ...] = (
        event.id,
        event.type,
        time,
        origin.site,
        origin.jurisdiction,
        origin.workload,
        origin.modeldigest,
        origin.release,
        origin.snapshot,
    )
    return dict(zip(ENVELOPE, values, strict=True))
