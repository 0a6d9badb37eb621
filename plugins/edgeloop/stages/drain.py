"""Drain: what compliant knowledge a site's queue holds comes to the lake."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edgeloop import ledger
from edgeloop.exceptions import ConnectionIncomplete
from edgeloop.hooks.lake import LakeHook
from edgeloop.hooks.storage import StorageHook
from include import workloads
from include.border.drain import Report, drain
from include.border.feedback import extract
from include.border.settings import read_policy
from include.domain import naming
from include.settings import LAKE, site_storage

SECONDS = 1200
"""A task starts no new round of messages after this; the next run goes on."""
SUBJECT = "insights"
"""The ledger's folder for what was drained."""


@dataclass(frozen=True)
class Drained:
    """What one site gave: counts only, no content."""

    site: str
    received: int
    stored: int
    refused: dict[str, int]
    poisoned: dict[str, int]
    duplicates: int
    dropped: dict[str, int]
    """Fields that did not pass the border, by name."""
    feedback: int
    files: list[str] = field(default_factory=list)
    sequence: int = -1
    """Of the last commit in the site's log; -1: none was made."""


def drain_site(workload: str, site: str) -> dict[str, Any]:
    """Empty the site's queue into compliant storage, and lay out people's answers for training; gives a `Drained` as a dict."""
    storage, lake = StorageHook(site_storage(site)), LakeHook()
    compliant = lake.storage.container(naming.COMPLIANT)
    report = drain(
        storage.queue(naming.queue(workload)),
        storage.queue(naming.poison_queue(workload)),
        compliant,
        read_policy(workloads.folder(workload) / "border.yaml"),
        workload=workload,
        site=site,
        pseudonym_key=_pseudonym_key(storage),
        deadline=time.time() + SECONDS,
    )
    return vars(_drained(site, report, extract(compliant, lake.container, workload, site)))


def _pseudonym_key(storage: StorageHook) -> bytes:
    key = storage.connection.extra_dejson.get("pseudonym_key")
    if not key:
        raise ConnectionIncomplete(storage.storage_conn_id, "lacks 'pseudonym_key' in its extra")
    return str(key).encode()


def _drained(site: str, report: Report, feedback: int) -> Drained:
    return Drained(
        site,
        report.received,
        report.stored,
        dict(report.refused),
        dict(report.poisoned),
        report.duplicates,
        dict(report.dropped),
        feedback,
        report.files,
        report.sequence,
    )


def record(workload: str, reports: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The ledger's entry for a run over all sites; None when nothing was received anywhere.

    The entry is named by the commits, so a task that runs again writes the same one.
    """
    drained = sorted(reports, key=lambda report: str(report["site"]))
    if not any(report["received"] for report in drained):
        return None
    facts = {
        "container": f"{LAKE}/{naming.COMPLIANT}",
        "stored": sum(report["stored"] for report in drained),
        "sites": {report["site"]: {name: value for name, value in report.items() if name != "site"} for report in drained},
    }
    step = "-".join(f"{report['site']}_{report['sequence']}" for report in drained)
    ledger.record(workload, SUBJECT, step, facts)
    return facts
