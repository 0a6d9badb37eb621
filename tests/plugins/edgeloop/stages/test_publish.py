"""Aggregates and the page, from insights as the border commits them."""

import io
import json
import re
import uuid
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import httpx
import pyarrow.parquet as pq
import pytest

from edgeloop.exceptions import NothingToDo
from edgeloop.hooks.lake import LakeHook
from edgeloop.stages import publish
from include import workloads
from include.border.rows import to_parquet
from include.border.settings import read_policy
from include.border.store import Commit, File, Log, write_file
from include.domain.publication import Aggregate
from include.standin.serving import client_context

DAY = datetime(2015, 1, 1, tzinfo=UTC)


@pytest.fixture
def workload(storage, connections, monkeypatch):
    """A use case like wind_power, with a compliant storage and a lake of its own."""
    name = f"farm_{uuid.uuid4().hex[:8]}"
    like = workloads.load("wind_power")
    monkeypatch.setattr("include.workloads.load", lambda _: like)
    monkeypatch.setattr("include.workloads.folder", lambda _: workloads.ROOT / "wind_power")
    return name


def record(turbine, minutes, power=900.0, expected=1000.0, kind="insight", day=DAY, number=0):
    return {
        "id": f"{number:08d}-0000-7000-8000-{uuid.uuid4().hex[:12]}",
        "type": f"edgeloop.{kind}",
        "time": day + timedelta(minutes=minutes),
        "site": "north",
        "turbine": turbine,
        "power_kw": power,
        "expected": expected,
        "residual": None if power is None else power - expected,
    }


def commit(workload, rows, site="north", named=True):
    """Write the rows and, if `named`, the commit that makes them count."""
    container = LakeHook(container="compliant").container
    policy = read_policy(workloads.ROOT / "wind_power" / "border.yaml")
    name = write_file(container, workload, site, date(2026, 1, 1), uuid.uuid4().hex, to_parquet(rows, policy))
    if named:
        log = Log.open(container, workload, site)
        entry = Commit(uuid.uuid4().hex, (File(name, len(rows)),), tuple(row["id"] for row in rows), {}, {}, policy.digest)
        assert log.append(entry)


def row(workload, site="north", day="2015-01-01"):
    name = f"{workload}/published/site={site}/date={day}/aggregate.parquet"
    return pq.read_table(io.BytesIO(LakeHook().read(name))).to_pylist()[0]


def test_what_was_committed_is_aggregated_by_site_and_day(workload):
    commit(workload, [record("R1", 10 * n) for n in range(6)] + [record("R2", 10 * n, 300.0, kind="anomaly") for n in range(3)])
    commit(workload, [record("R3", 10 * n, 1100.0, day=DAY + timedelta(days=1)) for n in range(6)], site="south")
    commit(workload, [record("R1", 700)], named=False)
    found = publish.aggregate(workload)
    assert {**found, "version": "-"} == {
        "version": "-",
        "summary": f"{workload}/published/summary.json",
        "commits": {"north": 0, "south": 0},
        "rows": 15,
        "days": 2,
        "written": 2,
    }
    assert row(workload) == {
        "site": "north",
        "date": "2015-01-01",
        "rows": 9,
        "anomalies": 3,
        "mean_residual_kw": -300.0,
        "expected_mwh": 1.5,
        "measured_mwh": 1.05,
        "lost_share": 0.3,
        "withheld": False,
    }
    assert row(workload, "south", "2015-01-02")["lost_share"] == -0.1


def test_a_record_that_was_scored_twice_counts_once_the_last_time(workload):
    commit(workload, [record("R1", 10 * n, 0.0, kind="anomaly", number=1) for n in range(6)])
    commit(workload, [record("R1", 10 * n, number=2) for n in range(6)])
    publish.aggregate(workload)
    assert (row(workload)["rows"], row(workload)["anomalies"], row(workload)["measured_mwh"]) == (6, 0, 0.9)


def test_answers_of_people_are_no_records_and_records_without_a_measurement_have_no_energy(workload):
    commit(
        workload,
        [record("R1", 10 * n) for n in range(3)]
        + [record("R1", 100 + 10 * n, None) for n in range(3)]
        + [record("R1", 500 + n, kind="feedback") for n in range(5)],
    )
    publish.aggregate(workload)
    assert (row(workload)["rows"], row(workload)["expected_mwh"]) == (6, 0.5)


def test_few_records_are_withheld(workload):
    commit(workload, [record("R1", 0), record("R1", 10)])
    publish.aggregate(workload)
    assert row(workload) == dict.fromkeys(row(workload)) | {"site": "north", "date": "2015-01-01", "withheld": True}


def test_nothing_new_is_nothing_to_publish_and_a_crash_before_the_page_loses_nothing(workload):
    assert publish.aggregate(workload) is None
    commit(workload, [record("R1", 10 * n) for n in range(6)])
    assert publish.aggregate(workload)["written"] == 1
    again = publish.aggregate(workload)
    assert (again["written"], again["rows"]) == (0, 6), "the page was not made: it is still to do, and the partitions are there"
    publish.page(workload, again)
    assert publish.aggregate(workload) is None
    commit(workload, [record("R1", 10 * n, day=DAY + timedelta(days=1)) for n in range(6)])
    assert publish.aggregate(workload)["written"] == 1


def test_a_page_without_its_summary_says_what_to_clear(workload):
    with pytest.raises(NothingToDo, match=r"published/summary.json is not in the lake: clear the task `aggregate`"):
        publish.page(workload, {"summary": f"{workload}/published/summary.json"})


class Page(HTMLParser):
    """Links and ids of a page."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.tags = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        self.tags.append(tag)
        self.ids += [said["id"]] if "id" in said else []
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data")]


def test_the_page_is_public_and_asks_nobody_for_anything(workload, storage):
    commit(workload, [record("R1", 10 * n, day=DAY + timedelta(days=d)) for n in range(6) for d in range(5)])
    commit(workload, [record("R3", 10 * n, 400.0, kind="anomaly") for n in range(6)], site="south")
    made = publish.page(workload, publish.aggregate(workload))
    answer = httpx.get(made["url"], verify=client_context(storage))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = Page(answer.text)
    assert all(link.startswith(("#", "data:")) for link in page.links), page.links
    assert not re.search(r"url\((?!#)|@import|<script", answer.text)
    assert len(page.ids) == len(set(page.ids)), "ids are unique on the page"
    assert page.tags.count("svg") == 2
    assert all(target.removeprefix("#") in page.ids for target in page.links if target.startswith("#"))
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))
    for words in ("Records 36", "Anomalies 6", "Expected, MWh 6.0", "Measured, MWh 4.9", "-18.3 %", "2015-01-05", "2 sites, 5 days"):
        assert words in text, words
    assert len(answer.content) < 200_000


def test_names_are_escaped(workload):
    day = Aggregate('<img src=x onerror="alert(1)">', "2015-01-01", 9, 3, -1.0, 1.5, 1.0, 0.3)
    summary = {"version": "20260101T000000Z-abc", "days": [vars(day)]}
    html = publish.render(workload, json.loads(json.dumps(summary)))
    assert "<img" not in html
    assert "&lt;img" in html
