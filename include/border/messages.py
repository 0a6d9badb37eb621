"""Queue messages: what lies in them, and the poison queue for what can never be stored."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from include.domain.events import LARGEST_BATCH, LARGEST_MESSAGE, Event, InvalidEvent, made_at, stamp, validate

CLOCKS_DIFFER = timedelta(days=1)
"""How far a scorer's clock may be ahead."""
LONGEST_QUOTE = 20_000
"""Characters of something that is quoted in the poison queue because it fits nowhere else."""


@dataclass(frozen=True)
class Received:
    """A message as the queue gave it."""

    id: str
    content: str


@dataclass(frozen=True)
class Poison:
    """Something that can never be stored."""

    key: str
    """The event's id where it has one; the same thing put back from the poison queue has another key."""
    event: Any
    reason: str
    detail: str
    message_id: str

    def to_message(self, now: datetime) -> str:
        """As the poison queue takes it (docs/contracts.md)."""
        said = {"event": self.event, "reason": self.reason, "detail": self.detail, "message_id": self.message_id, "at": stamp(now)}
        text = _dumps(said)
        if text is None or len(text) > LARGEST_MESSAGE:
            said["event"] = {"quoted": ascii(self.event)[:LONGEST_QUOTE], "cut": len(ascii(self.event)) > LONGEST_QUOTE}
            text = _dumps(said) or b"{}"
        return base64.b64encode(text).decode()


def decode(message: Received, *, workload: str, site: str) -> Iterator[Event | Poison]:
    """The events of a message. One that is invalid does not spoil the others."""
    try:
        raws = _batch(message.content)
    except InvalidEvent as wrong:
        yield Poison(f"message:{_hash(message.content)}", message.content, wrong.reason, wrong.detail, message.id)
        return
    for raw in raws:
        try:
            yield _not_of_the_future(validate(raw, workload=workload, site=site))
        except InvalidEvent as wrong:
            yield Poison(_key(raw), raw, wrong.reason, wrong.detail, message.id)


def _not_of_the_future(event: Event) -> Event:
    """Duplicates are looked for from when an event was made: a clock that is far ahead would hide them."""
    if made_at(event.id) > now() + CLOCKS_DIFFER:
        raise InvalidEvent("id", "the event was made in the future: the clock of its scorer is wrong")
    return event


def _batch(content: str) -> list[Any]:
    try:
        text = base64.b64decode(content, validate=True)
        raws = json.loads(text, parse_constant=_refuse_constant)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise InvalidEvent("not_json", f"a message is base64 of JSON: {error}") from error
    if not isinstance(raws, list) or not 0 < len(raws) <= LARGEST_BATCH or len(text) > LARGEST_MESSAGE:
        raise InvalidEvent("not_a_batch", f"a message is an array of 1 to {LARGEST_BATCH} events in at most {LARGEST_MESSAGE} bytes")
    return raws


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _key(raw: Any) -> str:
    """By the id, where there is one; by the content otherwise."""
    if not isinstance(raw, dict) or not isinstance(raw.get("id"), str) or len(raw["id"]) > 64:
        return f"content:{_hash(repr(raw))}"
    back = raw.get("replayof")
    return f"{raw['id']}/{back}" if isinstance(back, str) and len(back) <= 64 else raw["id"]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def _dumps(said: Any) -> bytes | None:
    try:
        return json.dumps(said, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return None


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)
