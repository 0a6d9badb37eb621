"""Records as users send them: bounded, and with times that mean one thing."""

from collections.abc import Sequence
from typing import Any

from include.domain.events import LONGEST_NAME, MOST_FIELDS, instant, is_scalar, stamp
from include.scoring.model import RecordError

MOST_RECORDS = 10_000
COMPUTED = ("id", "expected", "residual", "anomaly", "event", "label", "comment")
"""What the scorer says itself, or a person in an answer: not taken from a record (say, of a file with earlier scores)."""
LONGEST_TEXT = 256
"""Characters of a text in a record."""


class RequestError(ValueError):
    """A request of the wrong shape. `status`: what HTTP calls it."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


def accept(said: Any) -> list[dict[str, Any]]:
    """The records of a request, without what the scorer computes; RequestError or RecordError says what is wrong."""
    records = said.get("records") if isinstance(said, dict) else None
    if not isinstance(records, list) or not records:
        raise RequestError('the body is {"records": [{...}, ...]} with at least one record')
    if len(records) > MOST_RECORDS:
        raise RequestError(f"{len(records)} records in one request; {MOST_RECORDS} are allowed: send them in parts", 413)
    return [_accepted(place, record) for place, record in enumerate(records)]


def _accepted(place: int, record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise RecordError(place, "(record)", "is a JSON object")
    kept = {name: value for name, value in record.items() if name not in COMPUTED}
    if len(kept) > MOST_FIELDS - len(COMPUTED):
        raise RecordError(place, "(record)", f"has at most {MOST_FIELDS - len(COMPUTED)} fields")
    for name, value in kept.items():
        if len(name) > LONGEST_NAME:
            raise RecordError(place, name[:LONGEST_NAME], f"a name has at most {LONGEST_NAME} characters")
        if not is_scalar(value) or (isinstance(value, str) and len(value) > LONGEST_TEXT):
            raise RecordError(place, name, f"is a finite number, a text of at most {LONGEST_TEXT} characters, true, false or null")
    if kept.get("time") is not None:
        kept["time"] = _time(place, kept["time"])
    return kept


def _time(place: int, value: Any) -> str:
    try:
        return stamp(instant(value))
    except (TypeError, ValueError) as error:
        raise RecordError(place, "time", "is a time as ISO 8601 writes it: 2015-01-03T10:20:00Z") from error


def recorded(records: Sequence[dict[str, Any]], most_bytes: int, dumps: Any) -> bytes:
    """A request as the ring of recorded requests keeps it: its first records, as many as fit."""
    kept, size = [], 0
    for record in records:
        size += len(dumps(record)) + 1
        if size > most_bytes:
            break
        kept.append(record)
    return bytes(dumps({"records": kept}))
