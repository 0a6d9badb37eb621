"""What the judge is shown: the canary's answers to the golden rows, and to what users asked last."""

import math
from dataclasses import asdict
from typing import Any

from include.domain.rollout import Evidence, Replay
from include.rollout import scorer
from include.rollout.cluster import Cluster
from include.rollout.release import Release
from include.rollout.replay import Answers, NoAnswer, Scorer, batches, worst
from include.rollout.request import Request


def collect(cluster: Cluster, request: Request) -> Evidence:
    """Ask canary and champion. ReleaseInvalid when the image holds no golden rows that can be read."""
    layer = Release(cluster, request.release).model()
    url = cluster.service_url(request.canary)
    answers = Scorer(url).ask(batches(layer.rows)) if url else _silence(len(layer.rows))
    return Evidence(
        expected_model=layer.model,
        served_model=answers.model,
        expected_release=request.release.rpartition("@")[2],
        served_release=answers.release,
        golden_rows=len(layer.rows),
        golden_failed=answers.failed,
        golden_worst=worst(answers.values, layer.expected),
        golden_error=answers.last_error,
        has_champion=bool(scorer.running(cluster, request)[0]),
        replay=_replay(cluster, request, url),
    )


def plain(seen: Evidence) -> dict[str, Any]:
    """The evidence as JSON has it: NaN is null."""

    def known(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: known(item) for name, item in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {name: known(value) for name, value in asdict(seen).items()}


def _silence(rows: int) -> Answers:
    return Answers(values=[math.nan] * rows, last_error="the canary has no Service")


def _replay(cluster: Cluster, request: Request, canary_url: str | None) -> Replay | None:
    """Compared over the rows that the champion answers; None when it is not there or answers nothing at all."""
    champion_url = cluster.service_url(request.scorer)
    if not champion_url or not canary_url:
        return None
    champion = Scorer(champion_url)
    try:
        requests = champion.recorded(request.replayed_requests)
    except NoAnswer:
        return None
    old, new = champion.ask(requests), Scorer(canary_url).ask(requests)
    pairs = [(a, b) for a, b in zip(old.values, new.values, strict=True) if not math.isnan(a)]
    if requests and not pairs:
        return None
    failed = sum(math.isnan(b) for _, b in pairs)
    agreeing = sum(abs(a - b) <= request.limits.agreement_within for a, b in pairs)
    return Replay(len(pairs), failed, agreeing, new.p95, old.p95)
