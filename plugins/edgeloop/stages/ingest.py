"""Stage 1: which window of which sites is brought into the lake, and whether it came."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from edgeloop.exceptions import NothingToDo, Refused
from edgeloop.hooks.data_factory import DataFactoryHook
from edgeloop.hooks.lake import LakeHook
from include.domain.windows import Window
from include.workloads import load

NAMED = 5
"""Missing days that an error lists; the rest are counted."""


def plan(workload: str, params: Mapping[str, Any], partition_key: str | None) -> list[dict[str, str]]:
    """Parameters of the pipeline run of each site: `site, windowStart, windowEnd` (days, both included).

    WindowError when the form's days make no window that is over; Refused for a site that the workload does not have.
    """
    window = Window.asked(params.get("window_start"), params.get("window_end"), partition_key, datetime.now(UTC).date())
    return [
        {"site": site, "windowStart": window.first.isoformat(), "windowEnd": window.last.isoformat()}
        for site in _sites(workload, params.get("sites"))
    ]


def deploy(workload: str) -> str:
    """Put the workload's definitions into the factory; says what was put."""
    return ", ".join(DataFactoryHook().deploy(workload))


def land(workload: str, planned: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Look for every partition that was planned: `{"window", "sites", "partitions", "bytes"}`; NothingToDo names the missing ones."""
    asked = [*planned]
    if not asked:
        raise NothingToDo(f"no site of {workload} was planned: choose at least one under Sites")
    window = Window.parse(f"{asked[0]['windowStart']}..{asked[0]['windowEnd']}")
    sites = [one["site"] for one in asked]
    raw = LakeHook().partitions(workload, "raw", sites, window)
    there = {blob.name for blob in raw if blob.size}
    missing = [f"site {site} day {day}" for site in sites for day in window.days() if not _has(there, workload, site, day.isoformat())]
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise NothingToDo(
            f"the pipeline ended well, but the lake lacks {', '.join(missing[:NAMED])}{more} of {workload}/raw: "
            "compare the sink of the workload's Data Factory dataset with the lake's layout (docs/contracts.md)"
        )
    return {"window": str(window), "sites": sites, "partitions": len(raw), "bytes": sum(blob.size for blob in raw)}


def _has(there: set[str], workload: str, site: str, day: str) -> bool:
    folder = f"{workload}/raw/site={site}/date={day}/"
    return any(name.startswith(folder) for name in there)


def _sites(workload: str, asked: Iterable[str] | None) -> list[str]:
    known = load(workload).sites
    sites = list(dict.fromkeys(asked if asked is not None else known))
    unknown = [site for site in sites if site not in known]
    if unknown or not sites:
        what = f"site {unknown[0]!r} does not belong to workload {workload}" if unknown else f"no site of workload {workload} is chosen"
        raise Refused(f"{what}: choose from {', '.join(known)}")
    return sites
