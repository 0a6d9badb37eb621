"""Questions to a scorer, and what its answers are worth."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

REPLAY = {"EdgeLoop-Replay": "true"}
"""Asked for a judgement, not by a user: leaves no event."""
BATCH = 100
"""Rows of a request."""
LONGEST_ERROR = 300
"""Characters of an error answer that are kept as a reason."""
Record = dict[str, Any]


class NoAnswer(RuntimeError):
    """A scorer that is not there, or does not answer as a scorer does."""


@dataclass
class Answers:
    """Expected values by row (NaN: no answer), and who answered."""

    values: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    models: set[str] = field(default_factory=set)
    releases: set[str] = field(default_factory=set)
    last_error: str | None = None

    @property
    def model(self) -> str | None:
        """Digest of the model that answered, all of them if there were several, None without an answer."""
        return " and ".join(sorted(self.models)) or None

    @property
    def release(self) -> str | None:
        """The same of the image's digest."""
        return " and ".join(sorted(self.releases)) or None

    @property
    def failed(self) -> int:
        """Rows without an answer."""
        return sum(map(math.isnan, self.values))

    @property
    def p95(self) -> float:
        """95th percentile of the latencies, in milliseconds; NaN without answers."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))] if ordered else math.nan


class Scorer:
    """A scorer on the site, over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def ask(self, requests: Sequence[Sequence[Record]]) -> Answers:
        """Send the requests as they were; a refused or broken one counts all its rows as failed."""
        answers = Answers()
        for records in requests:
            self._ask_one(list(records), answers)
        return answers

    def _ask_one(self, records: list[Record], answers: Answers) -> None:
        start = time.perf_counter()
        try:
            reply = self._http.post("/score", json={"records": records}, headers=REPLAY)
            reply.raise_for_status()
            said = reply.json()
            values = [float(score["expected"]) for score in said["scores"]]
            if len(values) != len(records):
                raise ValueError(f"{len(values)} scores for {len(records)} records")
            answers.models.add(str(said["model_digest"]))
            answers.releases.add(str(said["release"]))
        except httpx.HTTPStatusError as error:
            answers.last_error = f"{error.response.status_code} {error.response.text[:LONGEST_ERROR]}"
            answers.values += [math.nan] * len(records)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            answers.last_error = f"{type(error).__name__}: {error}"
            answers.values += [math.nan] * len(records)
        else:
            answers.values += values
            answers.milliseconds.append((time.perf_counter() - start) * 1000)

    def recorded(self, limit: int) -> list[list[Record]]:
        """The last requests that users sent here; NoAnswer when it does not say."""
        try:
            reply = self._http.get("/recorded", params={"limit": limit})
            reply.raise_for_status()
            return [list(request["records"]) for request in reply.json()["requests"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise NoAnswer(f"{self.url}/recorded: {type(error).__name__}: {error}") from error


def batches(rows: Sequence[Record]) -> list[Sequence[Record]]:
    """Rows as requests of at most BATCH."""
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def worst(found: Sequence[float], expected: Sequence[float]) -> float:
    """Largest difference; NaN when a row has none or nothing is compared."""
    differences = [abs(a - b) for a, b in zip(found, expected, strict=True)]
    return math.nan if not differences or any(map(math.isnan, differences)) else max(differences)
