"""The end state, not only the runs: what must be true when the loop has turned once."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from include.demo.api import AirflowApi
from include.demo.edge import Edge
from include.demo.story import Story
from include.demo.world import World, inputs


@dataclass(frozen=True)
class Check:
    """One statement about the end state."""

    what: str
    holds: bool
    seen: str


def end_state(story: Story) -> list[Check]:
    """Every check, in the order of the loop."""
    return [
        _runs(story.api),
        *(_serves(story.world, site, story.digest) for site in story.workload.sites),
        *(_golden(story.world, edge, story.workload.gates.parity_tolerance) for edge in story.edges()),
        *(_conservation(story.world, edge) for edge in story.edges()),
    ]


def _runs(api: AirflowApi) -> Check:
    runs = api.runs()
    bad = [f"{run.dag} {run.id}: {run.state}" for run in runs if run.state != "success"]
    return Check("every DAG run succeeded", bool(runs) and not bad, "; ".join(bad) or f"{len(runs)} runs")


def _serves(world: World, site: str, digest: str) -> Check:
    seen = world.serves(site)
    return Check(f"{site} serves the release", seen == digest, f"{seen}")


def _golden(world: World, edge: Edge, tolerance: float) -> Check:
    rows = world.golden()
    scores = edge.ask([inputs(row) for row in rows], replay=True)["scores"]
    worst = max((abs(score["expected"] - row["expected"]) for score, row in zip(scores, rows, strict=True)), default=math.nan)
    return Check(f"{edge.site} gives the expected values of {len(rows)} golden rows", worst <= tolerance, f"off by {worst:.2g} at most")


def _conservation(world: World, edge: Edge) -> Check:
    accounted, outbox = world.accounted(edge.site), edge.outbox()
    lost = edge.sent - accounted
    rows = world.stored(edge.site)
    holds = not lost and outbox["pending"] == 0 and outbox["recorded"] == len(accounted)
    other = len(accounted) - rows
    seen = f"{outbox['recorded']} recorded, {rows} stored, {other} refused or poisoned, {world.queued(edge.site)} messages queued"
    return Check(f"nothing was lost or doubled on the way from {edge.site}", holds, seen + (f"; lost: {len(lost)}" if lost else ""))


def failed(checks: list[Check]) -> Iterator[Check]:
    """The checks that do not hold."""
    return (check for check in checks if not check.holds)
