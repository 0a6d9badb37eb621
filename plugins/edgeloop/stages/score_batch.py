"""Stage 6: the released model scores validated partitions. One row of scores a row of measurements; a rerun replaces."""

from typing import TYPE_CHECKING, Any

from edgeloop import ledger
from edgeloop.exceptions import NothingToDo
from edgeloop.hooks.lake import LakeHook
from edgeloop.model import Model
from edgeloop.stages.release import CHAMPION
from include import workloads
from include.domain import naming
from include.domain.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

SCORES = "scores.parquet"
NEWEST_DAYS = 31
"""Days that are scored again when a site gets a new release."""


def plan(workload: str, partition_key: str | None) -> list[dict[str, str]]:
    """`{"site", "window"}` for each site with validated data. The key is a window, or the digest of a release: then the newest window.

    NothingToDo: there is no release yet, or no validated data.
    """
    _champion(workload)
    about, lake = workloads.load(workload), LakeHook()
    days = {site: {naming.partition_of(blob.name)[1] for blob in lake.blobs(f"{workload}/validated/site={site}/")} for site in about.sites}
    every = sorted(set().union(*days.values()))
    if not every:
        raise NothingToDo(f"no partition of {workload} is validated ({workload}/validated/): run {workload}.ingest first")
    if partition_key and not partition_key.startswith("sha256:"):
        window = Window.parse(partition_key)
    else:
        newest = [day for day in every if (every[-1] - day).days < NEWEST_DAYS]
        window = Window(newest[0], newest[-1])
    parts = [{"site": site, "window": str(window)} for site in about.sites if any(day in window for day in days[site])]
    if not parts:
        raise NothingToDo(f"no partition of {workload} in {window} is validated")
    return parts


def score_site(workload: str, site: str, window: Window | str) -> dict[str, Any]:
    """Score the site's validated partitions of the window with the champion; gives counts."""
    import pyarrow as pa

    champion, lake, span = _champion(workload), LakeHook(), Window.parse(str(window))
    blobs = [blob.name for blob in lake.partitions(workload, "validated", [site], span)]
    if not blobs:
        raise NothingToDo(f"no partition of {workload}, site {site}, in {span} is validated")
    model = Model.of_job(workload, champion["job"])
    tables = {naming.partition_of(name)[1]: table for name, table in lake.read_tables(blobs)}
    scored = _score(model, pa.concat_tables(tables.values(), promote_options="permissive"), champion)
    start, days = 0, {}
    for day, table in tables.items():
        days[day] = scored.slice(start, table.num_rows)
        start += table.num_rows
    lake.write_partitions(workload, "scores", site, SCORES, days)
    for blob in lake.partitions(workload, "scores", [site], span):
        if naming.partition_of(blob.name)[1] not in days:
            lake.delete(blob.name)  # its measurements were withheld since
    return {
        "site": site,
        "window": str(span),
        "release": champion["digest"],
        "partitions": len(days),
        "rows": scored.num_rows,
        "anomalies": sum(bool(value) for value in scored["anomaly"].to_pylist()),
        "unscored": scored["expected"].null_count,
    }


def summary(workload: str, reports: "Iterable[Mapping[str, Any]]") -> dict[str, Any]:
    """What the sites' reports come to; recorded in the ledger under the window."""
    found = [dict(report) for report in reports]
    if not found:
        raise NothingToDo(f"no site of {workload} was scored")
    total = {
        "window": found[0]["window"],
        "release": found[0]["release"],
        **{key: sum(report[key] for report in found) for key in ("partitions", "rows", "anomalies", "unscored")},
        "sites": {report["site"]: {"rows": report["rows"], "anomalies": report["anomalies"]} for report in found},
    }
    ledger.record(workload, total["window"], "scores", total)
    return total


def _champion(workload: str) -> ledger.Facts:
    found = ledger.read(workload, CHAMPION, "release")
    if found is None:
        raise NothingToDo(f"{workload} has no release yet: nothing can be scored before {workload}.promote has made one")
    return found


def _score(model: Model, rows: "pa.Table", champion: ledger.Facts) -> "pa.Table":
    """The rows, and beside them: expected, residual (measured - expected), anomaly, by which model. Null: the model cannot answer."""
    import numpy as np
    import pyarrow as pa

    expected = model.predict(rows)
    residual = rows[model.contract.target.name].to_numpy() - expected
    known = ~np.isnan(residual)
    beside = {
        "expected": pa.array(expected, from_pandas=True),
        "residual": pa.array(residual, from_pandas=True),
        "anomaly": pa.array(residual < model.contract.anomaly.below, mask=~known),
        "modeldigest": pa.array([model.contract.model_digest] * rows.num_rows, pa.string()),
        "release": pa.array([champion["digest"]] * rows.num_rows, pa.string()),
    }
    for name, values in beside.items():
        rows = rows.append_column(name, values)
    return rows.combine_chunks()
