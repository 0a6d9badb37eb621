"""Stage 11: the state of the world becomes a training request, or a reason why not."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from edgeloop import ledger
from edgeloop.hooks.lake import LakeHook
from include.domain import naming, retraining
from include.domain.retraining import Decision, World
from include.domain.windows import Window
from include.domain.workload import Workload
from include.workloads import load

LAST = "last-request"
"""Subject of the ledger that says what was asked for last."""


def decide(workload: str, params: dict[str, Any], *, run_type: str, run_id: str) -> dict[str, Any]:
    """Request id (None: no training) and reason. A retry of the same run gives the same request."""
    w = load(workload)
    request = "request-" + hashlib.sha256(f"{workload}/{run_id}".encode()).hexdigest()[:12]
    # First: what an earlier try asked for has changed the world that a second look would see.
    if ledger.read(workload, request, "request") is None:
        world = look(w)
        decision = _decision(w, world, params, run_type)
        if decision.window is None:
            return {"request": None, "reason": decision.reason}
        facts = {"window": str(decision.window), "reason": decision.reason, "source": run_type, "run": run_id}
        ledger.record(workload, request, "request", {**facts, "answers": world.answers})
    return _remember(workload, request)


def _remember(workload: str, request: str) -> dict[str, Any]:
    """Make the request the last one, unless there is a later; gives its facts."""
    asked = ledger.read(workload, request, "request") or {}
    last = ledger.read(workload, LAST, "request")
    facts = {name: asked[name] for name in ("window", "reason", "source", "run")}
    if last is None or (last["request"] != request and last["asked_at"] <= asked["recorded_at"]):
        told = {**facts, "request": request, "asked_at": asked["recorded_at"], "answers": asked["answers"]}
        ledger.record(workload, LAST, "request", told)
    return {"request": request, **facts}


def look(w: Workload) -> World:
    """What is validated, what people answered, what was asked for last."""
    last = ledger.read(w.name, LAST, "request") or {}
    return World(
        now=datetime.now(UTC),
        newest=_validated(w),
        answers=_answers(w),
        last_answers=last.get("answers", 0),
        last_request=datetime.fromisoformat(last["asked_at"]) if last else None,
        last_window=Window.parse(last["window"]) if last else None,
    )


def _decision(w: Workload, world: World, params: dict[str, Any], run_type: str) -> Decision:
    if "manual" in run_type:
        start = params.get("window_start")
        asked = Window.asked(start, params.get("window_end"), None, world.now.date()) if start else None
        return retraining.by_hand(world, asked, params.get("reason") or "by hand", w.retraining)
    if "schedule" in run_type:
        return retraining.by_schedule(world, w.retraining)
    return retraining.by_events(world, w.retraining)


def _validated(w: Workload) -> Window | None:
    names = [blob.name for site in w.sites for blob in LakeHook().blobs(f"{w.name}/validated/site={site}/")]
    days = sorted({naming.partition_of(name)[1] for name in names})
    return Window(days[0], days[-1]) if days else None


def _answers(w: Workload) -> int:
    """Answers of people, ever: rows of the feedback partitions."""
    lake = LakeHook()
    return sum(table.num_rows for _, table in lake.read_tables(blob.name for blob in lake.blobs(f"{w.name}/feedback/")))
