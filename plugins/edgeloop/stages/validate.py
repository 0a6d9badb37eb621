"""Validation: raw partitions in, validated and quarantined partitions out. A rerun replaces both."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from edgeloop import ledger
from edgeloop.exceptions import NothingToDo
from edgeloop.hooks.lake import PARALLEL, LakeHook, Stored
from edgeloop.rows import Rows, read_rows
from edgeloop.validation import Checks
from include import workloads
from include.domain import naming
from include.domain.validation import Split, split
from include.domain.windows import LONGEST, Window
from include.domain.workload import Workload
from include.workloads.schema import DAY, TIME_DAY

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

GOOD = "measurements.parquet"
BAD = "rows.parquet"
BATCH_BYTES = 64_000_000
"""Parquet that is judged at once; as a table it takes a few times as much memory."""
JUDGED = "validated"
"""Subject in the ledger: which raw content was judged, an entry for each site and month."""


@dataclass
class Day:
    """One partition: its rows and what became of them."""

    day: date
    rows: Rows
    split: Split


def check_site(workload: str, site: str, window: Window | str) -> dict[str, Any]:
    """Validate the site's raw partitions of the window; gives counts, days, and the address of the report.

    NothingToDo: no raw partition lies in the window. UnusableInput: one cannot be read. CheckCrashed: a check failed by itself; nothing
    that it would have judged is written.
    """
    about, span, lake = workloads.load(workload), Window.parse(str(window)), LakeHook()
    raw = lake.partitions(workload, "raw", [site], span)
    if not raw:
        raise NothingToDo(
            f"no raw partition of site {site} lies in {span} ({workload}/raw/site={site}/): run {workload}.ingest for it first"
        )
    checks = Checks(about, site)
    days: list[Day] = []
    for blobs in _batches(raw):
        days += _judge(about, checks, dict(_by_day(lake, blobs)))
    _store(lake, workload, site, days)
    _remember(workload, site, raw)
    docs = _publish(checks.report(), f"{workload}/validation/{span}/{site}/index.html")
    return {"site": site, "window": str(span), **_counts(days), "missing_days": len(span) - len(days), "docs": docs}


def plan(workload: str, sites: Sequence[str] | None, partition_key: str | None) -> list[dict[str, str]]:
    """What a run has to do: `{"site", "window"}` for each site with raw data in the window of its partition key.

    Days before that window which nobody judged are taken up too, so that a lost event heals with the next run; a run without a key takes
    up every such day. NothingToDo: there is none.
    """
    asked = Window.parse(partition_key) if partition_key else None
    missed = [Window.parse(name) for name in pending(workload, before=asked.first if asked else None)]
    windows, names = [*missed, *([asked] if asked else [])], tuple(sites or workloads.load(workload).sites)
    lake = LakeHook()
    days = {site: {naming.partition_of(blob.name)[1] for blob in lake.blobs(f"{workload}/raw/site={site}/")} for site in names}
    parts = [{"site": site, "window": str(window)} for window in windows for site in names if any(day in window for day in days[site])]
    if not parts:
        what = f"no raw partition lies in {asked}" if asked else "every raw partition is judged already"
        raise NothingToDo(f"{workload}: {what} (sites {', '.join(names)}); run {workload}.ingest for the days that are wanted")
    return parts


def summary(workload: str, reports: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What validation came to over all sites; recorded in the ledger under each window.

    `validated`: partitions that went on; `windows`: those with at least one of them.
    """
    found = [dict(report) for report in reports]
    for window in sorted({report["window"] for report in found}):
        ledger.record(workload, window, "validation", _total([report for report in found if report["window"] == window]))
    return _total(found)


def _total(reports: list[dict[str, Any]]) -> dict[str, Any]:
    reasons: Counter[str] = Counter()
    for report in reports:
        reasons.update(report["reasons"])
    return {
        "windows": sorted({report["window"] for report in reports if report["validated"]}),
        **{
            key: sum(report[key] for report in reports)
            for key in ("partitions", "validated", "rows", "good", "quarantined", "missing_days")
        },
        "reasons": dict(sorted(reasons.items())),
        "withheld": [f"{report['site']} {day}" for report in reports for day in report["withheld"]],
        "docs": {f"{report['site']} {report['window']}": report["docs"] for report in reports},
    }


def pending(workload: str, before: date | None = None) -> list[str]:
    """Windows, of days before that one, whose raw data as it is now was never judged: it came while nobody listened, or was replaced."""
    lake = LakeHook()
    days: set[date] = set()
    for site in workloads.load(workload).sites:
        for blobs in _months(lake.blobs(f"{workload}/raw/site={site}/")):
            judged = (ledger.read(workload, JUDGED, _entry(site, blobs[0])) or {}).get("raw", {})
            days |= {naming.partition_of(blob.name)[1] for blob in blobs if judged.get(blob.name) != _content(blob)}
    return [str(window) for window in _spans(sorted(day for day in days if before is None or day < before))]


def _spans(days: list[date]) -> Iterator[Window]:
    start = 0
    for n, day in enumerate(days):
        last = n + 1 == len(days) or days[n + 1] != day + timedelta(days=1) or n + 1 - start == LONGEST
        if last:
            yield Window(days[start], day)
            start = n + 1


def _batches(blobs: list[Stored]) -> Iterator[list[Stored]]:
    """One run of the checks for as many whole days as fit in memory: each run costs about a second of its own."""
    batch: list[Stored] = []
    size = 0
    for _, of_day in groupby(blobs, key=lambda blob: naming.partition_of(blob.name)):
        found = [*of_day]
        added = sum(blob.size for blob in found)
        if batch and size + added > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch, size = batch + found, size + added
    if batch:
        yield batch


def _months(blobs: list[Stored]) -> Iterator[list[Stored]]:
    """The ledger keeps an entry a month."""
    found: dict[str, list[Stored]] = defaultdict(list)
    for blob in blobs:
        found[f"{naming.partition_of(blob.name)[1]:%Y-%m}"].append(blob)
    yield from found.values()


def _by_day(lake: LakeHook, blobs: list[Stored]) -> "Iterator[tuple[date, list[tuple[str, bytes]]]]":
    with ThreadPoolExecutor(PARALLEL) as pool:
        contents = pool.map(lake.read, [blob.name for blob in blobs])
        found: dict[date, list[tuple[str, bytes]]] = defaultdict(list)
        for blob, content in zip(blobs, contents, strict=True):
            found[naming.partition_of(blob.name)[1]].append((blob.name, content))
    yield from found.items()


def _judge(about: Workload, checks: Checks, files: dict[date, list[tuple[str, bytes]]]) -> list[Day]:
    read = {day: read_rows(about, contents) for day, contents in files.items()}
    bad = checks.run(_frame(about, read)) if any(len(rows) for rows in read.values()) else {}
    days, start, places = [], 0, sorted(bad)
    for day, rows in read.items():
        of_day = places[bisect_left(places, start) : bisect_left(places, start + len(rows))]
        marked = {place - start: bad[place] for place in of_day}
        for row, reasons in rows.unreadable.items():
            marked[row] = [*marked.get(row, ()), *reasons]
        days.append(Day(day, rows, split(marked, len(rows), about.largest_bad_share)))
        start += len(rows)
    return days


def _frame(about: Workload, read: dict[date, Rows]) -> "pd.DataFrame":
    """The rows of many partitions as the checks take them, each with the day that it was filed under."""
    import pyarrow as pa

    frame = pa.concat_tables([rows.typed for rows in read.values()]).to_pandas()
    frame[DAY] = [day.isoformat() for day, rows in read.items() for _ in range(len(rows))]
    time = next(column.name for column in about.columns if column.type == "time")
    frame[TIME_DAY] = frame[time].dt.strftime("%Y-%m-%d")
    return frame


def _store(lake: LakeHook, workload: str, site: str, days: list[Day]) -> None:
    """New files first, then those that are no longer due: killed in between, a rerun ends in the same state."""
    good = {day.day: day.rows.typed.take(list(day.split.good)) for day in days if day.split.good}
    bad = {day.day: _with_reasons(day) for day in days if day.split.quarantined or day.split.withheld}
    lake.write_partitions(workload, "quarantine", site, BAD, bad)
    lake.write_partitions(workload, "validated", site, GOOD, good)
    there = {blob.name for stage in ("validated", "quarantine") for blob in lake.blobs(f"{workload}/{stage}/site={site}/")}
    for day in days:
        for stage, name, due in (("validated", GOOD, good), ("quarantine", BAD, bad)):
            blob = naming.partition(workload, stage, site, day.day, name)
            if day.day not in due and blob in there:
                lake.delete(blob)


def _with_reasons(day: Day) -> "pa.Table":
    import pyarrow as pa

    rows = [*day.split.quarantined]
    reasons = pa.array([list(day.split.quarantined[row]) for row in rows], pa.list_(pa.string()))
    return day.rows.raw.take(pa.array(rows, pa.int64())).append_column("reasons", reasons)


def _counts(days: list[Day]) -> dict[str, Any]:
    reasons: Counter[str] = Counter()
    for day in days:
        reasons.update(day.split.counts)
    return {
        "partitions": len(days),
        "validated": sum(bool(day.split.good) for day in days),
        "rows": sum(len(day.rows) for day in days),
        "good": sum(len(day.split.good) for day in days),
        "quarantined": sum(len(day.split.quarantined) for day in days),
        "reasons": dict(sorted(reasons.items())),
        "withheld": sorted(day.day.isoformat() for day in days if day.split.withheld),
    }


def _entry(site: str, blob: Stored) -> str:
    return f"{site}-{naming.partition_of(blob.name)[1]:%Y-%m}"


def _content(blob: Stored) -> str:
    return blob.content_md5 or f"{blob.size} bytes"


def _remember(workload: str, site: str, raw: list[Stored]) -> None:
    """Written last. Two windows of one month at once may lose each other's entries: those days are then judged once more."""
    for blobs in _months(raw):
        step = _entry(site, blobs[0])
        judged = (ledger.read(workload, JUDGED, step) or {}).get("raw", {})
        ledger.record(workload, JUDGED, step, {"raw": {**judged, **{blob.name: _content(blob) for blob in blobs}}})


def _publish(page: str, blob: str) -> str:
    web = LakeHook(container=naming.WEB)
    web.write(blob, page.encode(), "text/html; charset=utf-8")
    base = web.storage.connection.extra_dejson.get("web_url")
    return f"{base.rstrip('/')}/{blob}" if base else web.uri(blob)
