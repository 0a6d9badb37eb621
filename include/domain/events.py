"""Events: what a scorer tells the lake. CloudEvents 1.0, one for each scored record or answer of a person, many to a queue message.

An event's `time` is the time of the record that it is about; its `id` (UUIDv7) says when it was made.
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

INSIGHT = "edgeloop.insight"
ANOMALY = "edgeloop.anomaly"
FEEDBACK = "edgeloop.feedback"
TYPES = (INSIGHT, ANOMALY, FEEDBACK)
LABELS = ("confirmed", "false_alarm", "maintenance")
"""What a person may answer to an event."""

LARGEST_BATCH = 100
"""Events in a queue message."""
LARGEST_MESSAGE = 48_000
"""Bytes of JSON in a queue message: base64 adds a third, and a message may have 64 KiB."""
LARGEST_EVENT = 24_000
"""Bytes of JSON."""
MOST_FIELDS = 64
LONGEST_NAME = 64
LONGEST_TEXT = 2_000
"""Characters of a text in `data`; a person's comment may be as long."""

Scalar = str | int | float | bool | None

_ATTRIBUTES = {
    "specversion": re.compile(r"1\.0"),
    "id": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
    "source": re.compile(r"/sites/[a-z0-9-]{1,63}/workloads/[a-z0-9_]{1,63}"),
    "type": re.compile(r"edgeloop\.[a-z_]{1,40}"),
    "time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)"),
    "site": re.compile(r"[a-z0-9-]{1,63}"),
    "jurisdiction": re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?"),
    "workload": re.compile(r"[a-z0-9_]{1,63}"),
    "modeldigest": re.compile(r"sha256:[0-9a-f]{64}"),
    "release": re.compile(r"sha256:[0-9a-f]{64}|unreleased"),
    "snapshot": re.compile(r"sha256:[0-9a-f]{64}"),
}
"""The shape of each attribute: narrow enough that none can carry a text of somebody's."""
_OPTIONAL = {"replayof": re.compile(r"[A-Za-z0-9-]{1,64}"), "datacontenttype": re.compile(r"application/json")}


class InvalidEvent(ValueError):
    """Something that is no event of ours. `reason` is a code for counting, the message is for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Origin:
    """Where events come from: the same for all events of one scorer."""

    site: str
    jurisdiction: str
    workload: str
    modeldigest: str
    release: str
    """Digest of the scorer's image, or `unreleased`."""
    snapshot: str

    @property
    def source(self) -> str:
        """The CloudEvents source."""
        return f"/sites/{self.site}/workloads/{self.workload}"


@dataclass(frozen=True)
class Event:
    """One CloudEvent."""

    id: str
    type: str
    time: datetime
    """UTC."""
    origin: Origin
    data: Mapping[str, Scalar] = field(hash=False)
    replayof: str | None = None
    """Id of the poison message that this event was put back from."""

    def to_dict(self) -> dict[str, Any]:
        """As CloudEvents' JSON format has it."""
        said = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.origin.source,
            "type": self.type,
            "time": stamp(self.time),
            "site": self.origin.site,
            "jurisdiction": self.origin.jurisdiction,
            "workload": self.origin.workload,
            "modeldigest": self.origin.modeldigest,
            "release": self.origin.release,
            "snapshot": self.origin.snapshot,
            "data": dict(self.data),
        }
        return {**said, "replayof": self.replayof} if self.replayof else said


def stamp(time: datetime) -> str:
    """A time as RFC 3339, in UTC. `2015-01-03T10:20:00Z`."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instant(text: str) -> datetime:
    """An ISO 8601 time as a datetime in UTC; a time without a zone is taken for UTC. ValueError when it is none."""
    found = datetime.fromisoformat(text)
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text} is beyond the calendar") from error


def release_digest(reference: str | None) -> str:
    """The digest of an image reference (`registry/repository@sha256:...`), `unreleased` when it has none."""
    found = re.search(r"sha256:[0-9a-f]{64}$", reference or "")
    return found[0] if found else "unreleased"


def made_at(event_id: str) -> datetime:
    """When a UUIDv7 was made, to the millisecond. RFC 9562, section 5.7."""
    milliseconds = UUID(event_id).int >> 80
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise InvalidEvent("id", f"{event_id} says a time beyond the calendar") from error


def to_json(event: Mapping[str, Any]) -> bytes:
    """An event as it lies in a message: compact UTF-8."""
    return json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def validate(raw: object, *, workload: str, site: str) -> Event:
    """An event of this workload and site from parsed JSON; InvalidEvent says why it is none."""
    if not isinstance(raw, dict):
        raise InvalidEvent("not_an_object", f"an event is a JSON object, not a {type(raw).__name__}")
    _bounded(raw)
    known = {name: _attribute(raw, name, shape) for name, shape in _ATTRIBUTES.items()}
    for name in raw.keys() - known.keys() - {"data"}:
        if name not in _OPTIONAL:
            raise InvalidEvent("attribute", "an attribute is not known; docs/contracts.md lists them")
        _attribute(raw, name, _OPTIONAL[name])
    if known["type"] not in TYPES:
        raise InvalidEvent("type", f"{known['type']} is none of {', '.join(TYPES)}")
    if (known["site"], known["workload"]) != (site, workload) or known["source"] != f"/sites/{site}/workloads/{workload}":
        raise InvalidEvent("origin", f"the event is not from workload {workload} at site {site}, whose queue it lay in")
    origin = Origin(**{name: known[name] for name in ("site", "jurisdiction", "workload", "modeldigest", "release", "snapshot")})
    return Event(known["id"], known["type"], _time(known), origin, _data(raw.get("data"), known["type"]), raw.get("replayof"))


def _bounded(raw: dict[str, Any]) -> None:
    try:
        size = len(to_json(raw))
    except (ValueError, RecursionError) as error:
        raise InvalidEvent(
            "not_json", "the event holds what JSON cannot say: NaN, infinity, a broken character or a deep nesting"
        ) from error
    if size > LARGEST_EVENT:
        raise InvalidEvent("too_large", f"an event may have {LARGEST_EVENT} bytes, this one has {size}")


def _attribute(raw: dict[str, Any], name: str, shape: re.Pattern[str]) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise InvalidEvent("attribute", f"{name} is missing or not of the shape {shape.pattern}")
    return value


def _time(known: Mapping[str, str]) -> datetime:
    made_at(known["id"])
    try:
        return instant(known["time"])
    except ValueError as error:
        raise InvalidEvent("attribute", f"time is not a time: {error}") from error


def _data(data: object, kind: str) -> dict[str, Scalar]:
    if not isinstance(data, dict):
        raise InvalidEvent("data", "data is missing or no object")
    if len(data) > MOST_FIELDS:
        raise InvalidEvent("data", f"data has {len(data)} fields; {MOST_FIELDS} are allowed")
    for name, value in data.items():
        if len(name) > LONGEST_NAME or not is_scalar(value):
            raise InvalidEvent(
                "data", "a field of data has a long name, or is neither a bounded text, a finite number, true, false nor null"
            )
    if kind == FEEDBACK and not (data.get("label") in LABELS and isinstance(data.get("event"), str)):
        raise InvalidEvent("data", f"feedback names the event it answers and a label: {', '.join(LABELS)}")
    return data


def is_scalar(value: object) -> bool:
    """Whether a value may stand in `data`: a bounded text, a finite number, true, false or null."""
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and abs(value) < 2**63)


def pack(bodies: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut events (each as `to_json` wrote it) into messages: at most 100 events and 48,000 bytes with brackets and commas.

    ValueError: one event alone is too large.
    """
    start, size = 0, 2
    for place, body in enumerate(bodies):
        if len(body) + 2 > LARGEST_MESSAGE:
            raise ValueError(f"an event of {len(body)} bytes does not fit in a queue message of {LARGEST_MESSAGE}")
        more = len(body) + (place > start)
        if place - start == LARGEST_BATCH or size + more > LARGEST_MESSAGE:
            yield bodies[start:place]
            start, size, more = place, 2, len(body)
        size += more
    if start < len(bodies):
        yield bodies[start:]


def message(bodies: Sequence[bytes]) -> bytes:
    """A queue message before base64: CloudEvents' JSON batch format."""
    return b"[" + b",".join(bodies) + b"]"
