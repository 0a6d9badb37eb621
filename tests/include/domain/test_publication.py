from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from include.domain.publication import Aggregate, Sums, Version, aggregate, overall

DAY = date(2015, 1, 1)


def sums(rows=288, anomalies=10, compared=288, expected=288_000.0, measured=144_000.0):
    return Sums("north", DAY, rows, anomalies, compared, expected, measured)


def test_energy_is_power_times_the_time_that_a_record_stands_for():
    found = aggregate(sums(), smallest_group=3, minutes=10)
    assert found == Aggregate("north", "2015-01-01", 288, 10, -500.0, 48.0, 24.0, 0.5)


@pytest.mark.parametrize(("rows", "withheld"), [(1, True), (2, True), (3, False)])
def test_a_day_of_too_few_records_is_withheld_as_a_whole(rows, withheld):
    found = aggregate(sums(rows=rows, anomalies=0, compared=rows), smallest_group=3, minutes=10)
    assert found.withheld is withheld
    assert (found.expected_mwh is None) is withheld


@pytest.mark.parametrize(("anomalies", "shown"), [(0, 0), (1, None), (2, None), (3, 3)])
def test_few_anomalies_are_withheld_and_none_is_no_group(anomalies, shown):
    assert aggregate(sums(anomalies=anomalies), smallest_group=3, minutes=10).anomalies == shown


def test_energy_over_too_few_measured_records_is_withheld():
    found = aggregate(sums(compared=2), smallest_group=3, minutes=10)
    assert (found.rows, found.expected_mwh, found.measured_mwh, found.mean_residual_kw, found.lost_share) == (288, None, None, None, None)
    assert aggregate(sums(compared=0), smallest_group=0, minutes=10).mean_residual_kw is None


def test_no_share_of_no_expectation():
    assert aggregate(sums(expected=0.0, measured=-5.0), smallest_group=3, minutes=10).lost_share is None


def test_totals_leave_out_what_is_withheld():
    shown = aggregate(sums(), 3, 10)
    hidden = aggregate(sums(rows=2), 3, 10)
    few = aggregate(sums(anomalies=2), 3, 10)
    found = overall([shown, hidden, few])
    assert (found.withheld, found.rows, found.anomalies, found.expected_mwh, found.lost_share) == (1, 576, 10, 96.0, 0.5)
    assert overall([]).lost_share is None


def test_a_version_names_time_and_commits():
    at = datetime(2026, 11, 30, 19, 0, 5, 999, tzinfo=timezone(timedelta(hours=1)))
    version = Version.of({"south": 3, "north": 7}, at)
    assert str(version).startswith("20261130T180005Z-")
    assert Version.parse(str(version)) == version
    assert version == Version.of({"north": 7, "south": 3}, at)
    assert version != Version.of({"north": 8, "south": 3}, at)
    assert version.at == datetime(2026, 11, 30, 18, 0, 5, tzinfo=UTC)
    with pytest.raises(ValueError, match="does not match format"):
        Version.parse("latest")
