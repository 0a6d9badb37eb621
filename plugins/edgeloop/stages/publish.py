"""Stage 10: aggregates of what crossed the border, for Power BI and for the global page."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeloop.exceptions import NothingToDo
from edgeloop.hooks.lake import LakeHook
from include import workloads
from include.border.settings import read_policy
from include.border.store import Commit, committed
from include.domain import naming
from include.domain.border import Policy
from include.domain.publication import Aggregate, Sums, Version, overall
from include.domain.publication import aggregate as aggregate_day

if TYPE_CHECKING:
    import pyarrow as pa

STAGE = "published"
FILE = "aggregate.parquet"
ANOMALY = "edgeloop.anomaly"
RECORDS = ("edgeloop.insight", ANOMALY)
TEMPLATE = Path(__file__).with_name("page.html.jinja")


def aggregate(workload: str) -> dict[str, Any] | None:
    """Write the aggregates that changed: `{"version", "summary", "commits", "rows", "days", "written"}`; None when nothing was committed
    since the page was last made.
    """
    lake, sites = LakeHook(), workloads.load(workload).sites
    log = {site: [*committed(_compliant(), workload, site)] for site in sites}
    commits = {site: found[-1].sequence for site, found in log.items() if found}
    if not commits or commits == _state(lake, workload).get("commits"):
        return None
    found = _aggregates(workload, log)
    written = _write_changed(lake, workload, found)
    version = Version.of(commits, datetime.now(UTC))
    total = overall(found)
    summary = {"version": str(version), "commits": commits, "overall": asdict(total), "days": [asdict(one) for one in found]}
    lake.write(_summary(workload), json.dumps(summary).encode(), "application/json")
    return {
        "version": str(version),
        "summary": _summary(workload),
        "commits": commits,
        "rows": total.rows,
        "days": len(found),
        "written": written,
    }


def page(workload: str, aggregated: Mapping[str, Any]) -> dict[str, Any]:
    """Make the global page of what was aggregated: `{"url", "version"}`. Only then it counts as published."""
    lake = LakeHook()
    text = lake.read_or_none(aggregated["summary"])
    if text is None:
        raise NothingToDo(f"{aggregated['summary']} is not in the lake: clear the task `aggregate`, it writes it again")
    summary = json.loads(text)
    html = render(workload, summary)
    url = LakeHook(container=naming.WEB).write(f"{workload}/index.html", html.encode(), "text/html; charset=utf-8")
    state = {"version": summary["version"], "commits": summary["commits"]}
    lake.write(_state_blob(workload), json.dumps(state).encode(), "application/json")
    return {"url": url, "version": summary["version"]}


def render(workload: str, summary: Mapping[str, Any]) -> str:
    """The page: one HTML file that asks nobody for anything."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from edgeloop.figures import days_svg

    days = [Aggregate(**one) for one in summary["days"]]
    sites = {site: [one for one in days if one.site == site] for site in dict.fromkeys(one.site for one in days)}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        workload=workloads.load(workload),
        overall=overall(days),
        sites=[
            {"name": name, "overall": overall(found), "days": found, "figure": Markup(days_svg(name, found))}  # noqa: S704 - made here
            for name, found in sites.items()
        ],
        smallest_group=_policy(workload).smallest_group,
        at=Version.parse(summary["version"]).at,
    )


def _compliant() -> Any:
    return LakeHook(container=naming.COMPLIANT).container


def _policy(workload: str) -> Policy:
    return read_policy(workloads.folder(workload) / "border.yaml")


def _summary(workload: str) -> str:
    return f"{workload}/{STAGE}/summary.json"


def _state_blob(workload: str) -> str:
    return f"{workload}/{STAGE}/state.json"


def _state(lake: LakeHook, workload: str) -> dict[str, Any]:
    found = lake.read_or_none(_state_blob(workload))
    return json.loads(found) if found else {}


def _aggregates(workload: str, log: Mapping[str, Iterable[Commit]]) -> list[Aggregate]:
    policy = _policy(workload)
    entity = workloads.load(workload).entity
    target = workloads.load(workload).target
    found = [
        aggregate_day(sums, policy.smallest_group, policy.time_minutes)
        for site, commits in log.items()
        for sums in _sums(site, [file.name for commit in commits for file in commit.files], entity, target)
    ]
    return sorted(found, key=lambda one: (one.site, one.date))


def _sums(site: str, files: list[str], entity: str, target: str) -> list[Sums]:
    """Sums of each day. A record that was scored twice counts once: the last time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    tables = [
        table.select(["id", "type", "time", entity, target, "expected"])
        for _, table in LakeHook(container=naming.COMPLIANT).read_tables(files)
    ]
    if not tables:
        return []
    rows = pa.concat_tables(tables, promote_options="default")
    rows = rows.filter(pc.is_in(rows["type"], pa.array(RECORDS)))
    last = (
        rows.sort_by("id")
        .group_by(["time", entity], use_threads=False)
        .aggregate([("type", "last"), (target, "last"), ("expected", "last")])
    )
    return _by_day(site, last, target)


def _by_day(site: str, rows: "pa.Table", target: str) -> list[Sums]:
    import pyarrow as pa
    import pyarrow.compute as pc

    measured, expected = rows[f"{target}_last"], rows["expected_last"]
    both = pc.and_(pc.is_valid(measured), pc.is_valid(expected))
    days = pa.table(
        {
            "day": pc.cast(rows["time"], pa.date32()),
            "anomaly": pc.cast(pc.equal(rows["type_last"], ANOMALY), pa.int64()),
            "both": pc.cast(both, pa.int64()),
            "expected": pc.if_else(both, expected, 0.0),
            "measured": pc.if_else(both, measured, 0.0),
        }
    )
    totals = days.group_by("day").aggregate(
        [("anomaly", "count"), *((name, "sum") for name in ("anomaly", "both", "expected", "measured"))]
    )
    return [
        Sums(site, row["day"], row["anomaly_count"], row["anomaly_sum"], row["both_sum"], row["expected_sum"], row["measured_sum"])
        for row in totals.sort_by("day").to_pylist()
    ]


def _write_changed(lake: LakeHook, workload: str, found: Iterable[Aggregate]) -> int:
    """Write the partitions whose aggregate is not the one that the last summary has; gives how many."""
    text = lake.read_or_none(_summary(workload))
    before = {(one["site"], one["date"]): one for one in json.loads(text)["days"]} if text else {}
    changed: dict[str, dict[date, Any]] = {}
    for one in found:
        if before.get((one.site, one.date)) != asdict(one):
            changed.setdefault(one.site, {})[date.fromisoformat(one.date)] = _table(one)
    return sum(len(lake.write_partitions(workload, STAGE, site, FILE, tables)) for site, tables in changed.items())


def _table(one: Aggregate) -> "pa.Table":
    """One row; the columns are the same for every partition."""
    import pyarrow as pa

    whole = {"rows", "anomalies"}
    kinds = {name: pa.int64() if name in whole else pa.float64() for name in asdict(one)}
    kinds |= {"site": pa.string(), "date": pa.string(), "withheld": pa.bool_()}
    return pa.Table.from_pylist([one.as_row()], schema=pa.schema(kinds))
