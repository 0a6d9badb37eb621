"""What the scorer does with records and with answers of people; knows nothing of HTTP."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from uuid6 import uuid7

from include.domain.events import (
    ANOMALY,
    FEEDBACK,
    INSIGHT,
    LABELS,
    LARGEST_EVENT,
    LONGEST_TEXT,
    Origin,
    release_digest,
    stamp,
)
from include.scoring import records as record
from include.scoring.model import Model, RecordError, Score
from include.scoring.outbox import Counts, Entry
from include.scoring.outboxes import Outboxes
from include.scoring.recorder import Recorder
from include.scoring.records import RequestError
from include.scoring.settings import Settings
from include.scoring.shipper import Shipper

INLINE = 64
"""Records that are scored on the event loop; more go to a thread, so that others are answered meanwhile."""
LARGEST_RECORDED = 64 << 10
"""Bytes of a recorded request."""
ROOM_FOR_ANSWER = 9_000
"""Bytes of an event that are left for what a person may add to it."""


@dataclass(frozen=True)
class Scored:
    """The answer to one request: an id for each record, and its score."""

    ids: list[str]
    scores: list[Score]


class Service:
    """One model, and the outbox that takes what it says. Without an outbox (a canary) nothing is recorded."""

    def __init__(self, model: Model, settings: Settings, outboxes: Outboxes | None = None, shipper: Shipper | None = None) -> None:
        self.model = model
        self.settings = settings
        self.shipper = shipper
        self._outboxes = outboxes
        self._recorder = Recorder(outboxes.own) if outboxes else None
        contract = model.contract
        self.origin = Origin(
            settings.site,
            settings.jurisdiction,
            contract.workload,
            contract.model_digest,
            release_digest(settings.release),
            contract.snapshot,
        )
        self._attributes = _attributes(self.origin)

    async def score(self, records: list[dict[str, Any]], *, replay: bool = False) -> Scored:
        """Score; unless it is a replay, return only when the events are on the disk (else OutboxError)."""
        work = self._work
        ids, scores, entry = work(records, replay) if len(records) <= INLINE else await asyncio.to_thread(work, records, replay)
        if entry:
            await self._record(entry)
        return Scored(ids, scores)

    def _work(self, records: list[dict[str, Any]], replay: bool) -> tuple[list[str], list[Score], Entry | None]:
        scores = self.model.score(records)
        ids = [str(uuid7()) for _ in records]
        if replay or self._recorder is None:
            return ids, scores, None
        now = stamp(datetime.now(UTC))
        bodies = [self._insight(*told, now) for told in zip(ids, records, scores, strict=True)]
        for place, body in enumerate(bodies):
            if len(body) > LARGEST_EVENT - ROOM_FOR_ANSWER:
                raise RecordError(place, "(record)", f"has too much text: {len(body)} bytes as an event")
        request = record.recorded(records, LARGEST_RECORDED, orjson.dumps)
        return ids, scores, Entry([*zip(ids, bodies, strict=True)], request)

    def _insight(self, event_id: str, said: Mapping[str, Any], score: Score, now: str) -> bytes:
        kind = ANOMALY if score.anomaly else INSIGHT
        data = {**said, "expected": score.expected, "residual": score.residual}
        return self._event(event_id, kind, said.get("time") or now, data)

    def _event(self, event_id: str, kind: str, time: str, data: Mapping[str, Any]) -> bytes:
        return orjson.dumps({**self._attributes, "id": event_id, "type": kind, "time": time, "data": data})

    async def feedback(self, said: Any) -> str | None:
        """A person's answer to an event: gives the answer's id, None when the event is not known (any more)."""
        answer = _answer(said)
        if self._outboxes is None:
            return None
        found = await asyncio.to_thread(self._outboxes.find, answer["event"])
        if found is None:
            return None
        event = orjson.loads(found)
        if event["type"] == FEEDBACK:
            raise RequestError("that event is an answer itself; answer to the score", 422)
        event_id = str(uuid7())
        await self._record(Entry([(event_id, self._event(event_id, FEEDBACK, event["time"], {**event["data"], **answer}))]))
        return event_id

    async def _record(self, entry: Entry) -> None:
        if self._recorder is None:
            return
        await self._recorder.record(entry)
        if self.shipper:
            self.shipper.wake()

    def counts(self) -> Counts:
        """Events of the outboxes that are held here."""
        return self._outboxes.counts() if self._outboxes else Counts(0, 0)

    def recorded(self, limit: int) -> Sequence[bytes]:
        """The last recorded requests, oldest first, as JSON."""
        return self._outboxes.own.requests(limit) if self._outboxes else []

    def close(self, grace: float) -> None:
        """Commit what is under way, and ship what can be shipped in `grace` seconds."""
        if self._recorder:
            self._recorder.close()
        if self.shipper:
            self.shipper.stop(grace)
        if self._outboxes and not (self.shipper and self.shipper.is_alive()):
            self._outboxes.close()


def _attributes(origin: Origin) -> dict[str, str]:
    return {
        "specversion": "1.0",
        "source": origin.source,
        "site": origin.site,
        "jurisdiction": origin.jurisdiction,
        "workload": origin.workload,
        "modeldigest": origin.modeldigest,
        "release": origin.release,
        "snapshot": origin.snapshot,
    }


def _answer(said: Any) -> dict[str, str]:
    if not isinstance(said, dict) or not isinstance(said.get("event"), str):
        raise RequestError('the body is {"event": id, "label": ..., "comment": ...}')
    if said.get("label") not in LABELS:
        raise RequestError(f"label is one of {', '.join(LABELS)}", 422)
    comment = said.get("comment") or ""
    if not isinstance(comment, str) or len(comment) > LONGEST_TEXT:
        raise RequestError(f"comment is a text of at most {LONGEST_TEXT} characters", 422)
    return {"event": said["event"], "label": said["label"], "comment": comment}
