"""Whether a canary may take over: a verdict on evidence. No data is not good news."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class Verdict(StrEnum):
    """What a rollout on a site came to."""

    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True)
class Limits:
    """When a canary is good enough. Differences are in the target's unit."""

    tolerance: float
    agreement_within: float
    smallest_agreement: float
    largest_error_share: float
    largest_latency_ratio: float


LATENCY_FLOOR_MS = 25.0
"""Below this a ratio of latencies is noise: two fast answers are equally good."""


@dataclass(frozen=True)
class Replay:
    """Recorded requests, sent to canary and champion: the rows that the champion answered. Latencies: 95th percentile, milliseconds."""

    rows: int
    failed_rows: int
    agreeing_rows: int
    canary_ms: float
    champion_ms: float


@dataclass(frozen=True)
class Evidence:
    """What the judge saw."""

    expected_model: str
    served_model: str | None
    expected_release: str
    served_release: str | None
    golden_rows: int
    golden_failed: int
    golden_worst: float
    """Largest difference from the native model's answer; NaN when nothing was compared."""
    golden_error: str | None
    """What the canary answered instead of a score."""
    has_champion: bool
    replay: Replay | None
    """None: there is no champion, or it did not answer."""


@dataclass(frozen=True)
class Judgement:
    """The verdict and why; reasons are empty only for a success without remarks."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()


def judge(seen: Evidence, limits: Limits) -> Judgement:
    """Failed if anything is wrong, Inconclusive if something that must be known is not, else Successful.

    Readiness proves nothing: the digest of the model that answered does (an old process may hold the address). Worse evidence never
    gives a better verdict.
    """
    wrong = [*_identity(seen), *_golden(seen, limits), *(_replay(seen.replay, limits) if seen.replay else ())]
    if wrong:
        return Judgement(Verdict.FAILED, tuple(wrong))
    if seen.golden_rows == 0:
        return Judgement(Verdict.INCONCLUSIVE, ("no golden row was compared: the image's model layer has none",))
    if seen.served_model is None:
        return Judgement(Verdict.INCONCLUSIVE, ("the canary did not say which model answers",))
    return Judgement(Verdict.SUCCESSFUL, tuple(_remarks(seen)))


def _remarks(seen: Evidence) -> list[str]:
    if not seen.has_champion:
        return []
    if seen.replay is None:
        return ["the champion does not answer: judged by the golden rows alone"]
    if seen.replay.rows == 0:
        return ["the champion has no recorded requests: judged by the golden rows alone"]
    return []


def _identity(seen: Evidence) -> list[str]:
    wrong = []
    if seen.served_model is None:
        return []  # nothing answered: the golden rows say so
    if seen.served_model != seen.expected_model:
        wrong.append(f"model {seen.served_model} answers, the release holds {seen.expected_model}")
    if seen.served_release != seen.expected_release:
        wrong.append(f"release {seen.served_release} answers, {seen.expected_release} was asked for")
    return wrong


def _golden(seen: Evidence, limits: Limits) -> list[str]:
    if seen.golden_failed:
        why = f": {seen.golden_error}" if seen.golden_error else ""
        return [f"{seen.golden_failed} of {seen.golden_rows} golden rows got no answer{why}"]
    if seen.golden_rows and not seen.golden_worst <= limits.tolerance:  # NaN is no pass
        return [f"a golden row is off by {seen.golden_worst:.4g}, allowed is {limits.tolerance:.4g}"]
    return []


def _replay(replay: Replay, limits: Limits) -> list[str]:
    wrong = []
    if replay.failed_rows > limits.largest_error_share * replay.rows:
        wrong.append(f"{replay.failed_rows} of {replay.rows} recorded rows got no answer")
    answered = replay.rows - replay.failed_rows
    if answered and replay.agreeing_rows < limits.smallest_agreement * answered:
        share = replay.agreeing_rows / answered
        wrong.append(f"canary and champion agree on {share:.1%} of {answered} recorded rows, needed are {limits.smallest_agreement:.1%}")
    slowest = max(LATENCY_FLOOR_MS, limits.largest_latency_ratio * replay.champion_ms)
    if replay.canary_ms > slowest:
        wrong.append(f"the canary answers in {replay.canary_ms:.0f} ms (95th percentile), the champion in {replay.champion_ms:.0f} ms")
    return wrong


WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(([01]\d|2[0-3]):([0-5]\d)|24:00)")


class FreezeError(ValueError):
    """A freeze window that nobody can read; a rollout that does not know whether it may start does not."""


def frozen_until(now: datetime, freeze: tuple[str, ...]) -> str | None:
    """The end (`hh:mm` UTC) of the freeze window that `now` (with a time zone) lies in, or None.

    A window is `hh:mm-hh:mm`, its end not included; one that ends before it starts spans midnight, `00:00-24:00` is every day.
    """
    for window in freeze:
        if not isinstance(window, str) or not WINDOW.fullmatch(window):
            raise FreezeError(f"freeze window {window!r} is not hh:mm-hh:mm (UTC): mend include/sites.yaml")
    clock = now.astimezone(UTC).strftime("%H:%M")
    for window in freeze:
        start, _, end = window.partition("-")
        inside = start <= clock < end if start <= end else clock >= start or clock < end
        if inside:
            return end
    return None
