import re
from datetime import date

import pyarrow as pa
import pytest

from include.domain import naming
from include.domain.windows import Window

DAYS = Window(date(2014, 3, 29), date(2014, 3, 31))
CHANGE = date(2014, 3, 30)
"""The day on which the historian repeats an hour of the turbine's day."""


def blob(stage, site, day, name):
    return naming.partition("wind_power", stage, site, day, name)


@pytest.fixture
def check():
    from edgeloop.stages.validate import check_site

    return lambda site="north", window=DAYS: check_site("wind_power", site, window)


def put(lake, table, day=DAYS.first, site="north"):
    lake.write_table(blob("raw", site, day, "measurements.parquet"), table)


def dirty(table, **changes):
    rows = table.to_pylist()
    for column, (row, value) in changes.items():
        rows[row][column] = value
    return pa.Table.from_pylist(rows, schema=table.schema)


def test_good_rows_go_on_and_doubtful_ones_are_quarantined(lake, ingest, check):
    ingest(DAYS.first, DAYS.last)
    report = check()
    assert {key: report[key] for key in ("site", "window", "partitions", "rows", "good", "quarantined", "withheld", "missing_days")} == {
        "site": "north",
        "window": "2014-03-29..2014-03-31",
        "partitions": 3,
        "rows": 2 * 144 * 3 + 12,
        "good": 2 * 144 * 3 - 12,
        "quarantined": 24,
        "withheld": [],
        "missing_days": 0,
    }
    assert report["reasons"] == {"duplicate": 24}
    doubtful = lake.read_table(blob("quarantine", "north", CHANGE, "rows.parquet"))
    assert {tuple(reasons) for reasons in doubtful["reasons"].to_pylist()} == {("duplicate",)}
    good = lake.read_table(blob("validated", "north", CHANGE, "measurements.parquet"))
    assert good.num_rows + doubtful.num_rows == 288 + 12
    assert good.schema.field("time").type == pa.timestamp("us", "UTC")
    assert [b.name for b in lake.blobs("wind_power/quarantine/")] == [blob("quarantine", "north", CHANGE, "rows.parquet")]


def test_every_kind_of_dirt_has_its_reason(lake, ingest, check):
    table = ingest(DAYS.first, DAYS.first)["north", "2014-03-29"]
    times = table["time"].to_pylist()
    dirt = {"turbine": (0, "R80790"), "temperature_c": (1, -273.2), "power_kw": (2, None), "pitch_deg": (4, 262.6)}
    put(lake, dirty(table, time=(3, times[3].replace(minute=7)), **dirt))
    put(lake, dirty(table, time=(5, times[5])), DAYS.last)
    report = check()
    assert (
        report["reasons"].items()
        >= {
            "missing:power_kw": 1,
            "off_grid:time": 1,
            "out_of_range:pitch_deg": 1,
            "out_of_range:temperature_c": 1,
            "unknown:turbine": 1,
            "other_day:time": 288,
        }.items()
    )
    assert report["withheld"] == ["2014-03-31"]


def test_text_where_a_number_is_due_costs_the_row_only(lake, ingest, check):
    table = ingest(DAYS.first, DAYS.first)["north", "2014-03-29"]
    spoken = [str(value) for value in table["wind_speed_ms"].to_pylist()]
    spoken[7] = "calm"
    put(lake, table.set_column(table.schema.get_field_index("wind_speed_ms"), "wind_speed_ms", pa.array(spoken)))
    report = check()
    assert report["reasons"] == {"missing:wind_speed_ms": 1, "unreadable:wind_speed_ms": 1}
    assert lake.read_table(blob("quarantine", "north", DAYS.first, "rows.parquet"))["wind_speed_ms"].to_pylist() == ["calm"]


def test_a_rerun_changes_no_byte_and_heals_what_was_corrected(lake, ingest, check):
    ingest(DAYS.first, DAYS.last)
    check()
    before = lake.blobs("wind_power/validated/") + lake.blobs("wind_power/quarantine/")
    check()
    assert lake.blobs("wind_power/validated/") + lake.blobs("wind_power/quarantine/") == before
    ingest(
        CHANGE,
        CHANGE,
        change=lambda table: pa.Table.from_pylist(
            list({(r["turbine"], r["time"]): r for r in table.to_pylist()}.values()), schema=table.schema
        ),
    )
    assert check()["quarantined"] == 0
    assert lake.blobs("wind_power/quarantine/") == []


def test_a_partition_past_its_threshold_is_withheld_as_a_whole(lake, ingest, check):
    table = ingest(DAYS.first, DAYS.first)["north", "2014-03-29"]
    assert check()["withheld"] == []
    empty = [None if row < 200 else value for row, value in enumerate(table["power_kw"].to_pylist())]
    put(lake, table.set_column(table.schema.get_field_index("power_kw"), "power_kw", pa.array(empty, pa.float64())))
    report = check()
    assert report["withheld"] == ["2014-03-29"]
    assert (report["good"], report["quarantined"]) == (0, 288)
    assert report["reasons"] == {"missing:power_kw": 200, "partition_withheld": 88}
    assert lake.blobs("wind_power/validated/") == [], "the partition of the earlier run is gone too"


def test_a_partition_without_rows_is_withheld(lake, ingest, check):
    table = ingest(DAYS.first, DAYS.first)["north", "2014-03-29"]
    put(lake, table.slice(0, 0))
    assert check()["withheld"] == ["2014-03-29"]


def test_the_report_shows_counts_and_no_value(lake, ingest, check):
    table = ingest(DAYS.first, DAYS.first)["north", "2014-03-29"]
    put(lake, dirty(table, temperature_c=(1, -271.3579), turbine=(2, "Z99999")))
    report = check()
    from edgeloop.hooks.lake import LakeHook

    name = "wind_power/validation/2014-03-29..2014-03-31/north/index.html"
    assert report["docs"].endswith(name)
    page = LakeHook(container=naming.WEB).read(name).decode()
    assert "temperature_c" in page
    assert "271.3579" not in page
    assert "Z99999" not in page
    assert not re.search(r"(src|href)=[\"']https?://", page), "nothing is fetched from the internet"


def test_no_raw_partition_is_nothing_to_do(lake, check):
    from edgeloop.exceptions import NothingToDo

    with pytest.raises(NothingToDo, match=r"no raw partition of site north lies in 2014-03-29\.\.2014-03-31"):
        check()


def test_broken_files_and_missing_columns_are_named(lake, ingest, check):
    from edgeloop.exceptions import UnusableInput

    table = ingest(DAYS.first, DAYS.first)["north", "2014-03-29"]
    put(lake, table.drop_columns(["power_kw"]))
    with pytest.raises(UnusableInput, match=r"date=2014-03-29/measurements.parquet lacks the column power_kw; it has turbine"):
        check()
    lake.write(blob("raw", "north", DAYS.first, "measurements.parquet"), b"PAR1 not really")
    with pytest.raises(UnusableInput, match=r"date=2014-03-29/measurements.parquet is no readable Parquet file"):
        check()


def test_a_check_that_crashes_is_no_bad_data(lake, ingest, check, monkeypatch):
    from edgeloop.exceptions import CheckCrashed
    from include.workloads.wind_power import expectations

    def wrong(workload, site):
        import great_expectations as gx
        import great_expectations.expectations as gxe

        return gx.ExpectationSuite(name="wrong", expectations=[gxe.ExpectColumnValuesToBeBetween(column="wind_sped", min_value=0)])

    ingest(DAYS.first, DAYS.first)
    monkeypatch.setattr(expectations, "suite", wrong)
    with pytest.raises(
        CheckCrashed, match=r"expect_column_values_to_be_between\(wind_sped\) of workload wind_power could not be evaluated"
    ):
        check()
    assert lake.blobs("wind_power/validated/") == []


def test_what_is_raw_and_was_not_judged_is_pending(lake, ingest, check):
    from edgeloop.stages.validate import pending

    assert pending("wind_power") == []
    ingest(DAYS.first, DAYS.last)
    ingest(date(2014, 4, 2), date(2014, 4, 2))
    assert pending("wind_power") == ["2014-03-29..2014-03-31", "2014-04-02..2014-04-02"]
    check()
    assert pending("wind_power") == ["2014-03-29..2014-03-31", "2014-04-02..2014-04-02"], "the other site waits still"
    check("south")
    assert pending("wind_power") == ["2014-04-02..2014-04-02"]
    ingest(CHANGE, CHANGE, change=lambda table: table.slice(1))
    assert pending("wind_power") == ["2014-03-30..2014-03-30", "2014-04-02..2014-04-02"]


def test_a_run_takes_up_the_days_right_before_its_window(lake, ingest):
    """They touch the window, and are days of their own all the same."""
    from edgeloop.stages.validate import plan

    ingest(DAYS.first, DAYS.last)
    planned = plan("wind_power", None, str(DAYS.last))
    assert {part["window"] for part in planned} == {"2014-03-29..2014-03-30", "2014-03-31..2014-03-31"}


def test_the_summary_adds_sites_up(lake, ingest, check):
    from edgeloop import ledger
    from edgeloop.stages.validate import summary

    ingest(DAYS.first, DAYS.last)
    reports = [check(), check("south")]
    total = summary("wind_power", reports)
    assert total["rows"] == sum(report["rows"] for report in reports)
    assert (total["windows"], total["validated"]) == ([str(DAYS)], 6)
    assert total["reasons"] == {"duplicate": 48}
    assert ledger.read("wind_power", str(DAYS), "validation")["docs"]["south 2014-03-29..2014-03-31"] == reports[1]["docs"]
    assert summary("wind_power", [{**report, "validated": 0} for report in reports])["windows"] == []


def test_a_run_takes_up_its_window_and_what_was_missed_before(lake, ingest, check):
    from edgeloop.exceptions import NothingToDo
    from edgeloop.stages.validate import plan

    with pytest.raises(NothingToDo, match=r"no raw partition lies in 2014-03-29\.\.2014-03-31"):
        plan("wind_power", None, str(DAYS))
    ingest(DAYS.first, DAYS.last)
    ingest(date(2014, 4, 2), date(2014, 4, 2))
    both = [{"site": site, "window": str(DAYS)} for site in ("north", "south")]
    assert plan("wind_power", None, str(DAYS)) == both, "later days have runs of their own"
    assert plan("wind_power", ["north"], "2014-04-02") == [
        {"site": "north", "window": "2014-03-29..2014-03-31"},
        {"site": "north", "window": "2014-04-02..2014-04-02"},
    ]
    for part in plan("wind_power", None, None):
        check(part["site"], part["window"])
    with pytest.raises(NothingToDo, match="every raw partition is judged already"):
        plan("wind_power", None, None)
