"""A site's scorer, as its users see it: HTTP on the Service's address."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import httpx

Record = dict[str, Any]
T = TypeVar("T")
PATIENCE = 180.0
"""Seconds that a user tries again: a scorer that was killed is back in less."""


@dataclass
class Edge:
    """One site's scorer. Keeps the ids of the events that its answers named."""

    site: str
    url: str
    sent: set[str] = field(default_factory=set)
    anomalies: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def release(self, record: Record) -> str | None:
        """Digest of the release that answers the record, or None when nothing does."""
        try:
            return str(self.ask([record], replay=True)["release"])
        except httpx.HTTPError:
            return None

    def ask(self, records: list[Record], *, replay: bool = False) -> Record:
        """One request of a user."""
        headers = {"EdgeLoop-Replay": "true"} if replay else {}
        return dict(self._http.post("/score", json={"records": records}, headers=headers).raise_for_status().json())

    def _patiently(self, request: Callable[[], T]) -> T:
        """Ask again while the scorer is away, as users do. What was recorded without an answer is recorded twice, which loses nothing."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return request()
            except httpx.HTTPError as error:
                refused = isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500
                if refused or time.monotonic() > end:
                    raise
            time.sleep(1)

    def replay(self, requests: Iterable[list[Record]]) -> int:
        """Send the requests one after the other; gives the number of records."""
        count = 0
        for records in requests:
            scores = self._patiently(partial(self.ask, records))["scores"]
            self.sent.update(score["id"] for score in scores)
            self.anomalies += [score["id"] for score in scores if score["anomaly"]]
            count += len(scores)
        return count

    def answer(self, count: int) -> int:
        """Answer the first anomalies: every third was a false alarm."""
        for number, event in enumerate(self.anomalies[:count]):
            label = "false_alarm" if number % 3 == 0 else "confirmed"
            self.sent.add(self._patiently(partial(self._feedback, event, label)))
        return min(count, len(self.anomalies))

    def outbox(self) -> dict[str, int]:
        """Events recorded, shipped, pending."""
        return self._patiently(lambda: dict(self._http.get("/outbox").raise_for_status().json()))

    def _feedback(self, event: str, label: str) -> str:
        said = {"event": event, "label": label, "comment": "checked on site"}
        return str(self._http.post("/feedback", json=said).raise_for_status().json()["id"])
