import csv
import io
from datetime import date

from include.workloads.wind_power.sample.export import COLUMNS, export, records, sites

DAY = date(2014, 1, 1)


def rows(content):
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_a_day_is_a_file_a_site():
    files = dict(export(DAY, date(2014, 1, 2)))
    assert sorted(files) == ["north/2014-01-01.csv", "north/2014-01-02.csv", "south/2014-01-01.csv", "south/2014-01-02.csv"]
    for name, content in files.items():
        found = rows(content)
        assert list(found[0]) == list(COLUMNS)
        assert {row["Wind_turbine_name"] for row in found} == set(sites()[name.split("/")[0]])
        assert {row["Date_time"][:10] for row in found} == {name.split("/")[1].removesuffix(".csv")}
    assert rows(files["north/2014-01-01.csv"])[0] == {
        "Wind_turbine_name": "R80711",
        "Date_time": "2014-01-01T00:00:00Z",
        "Ba_avg": "-0.93",
        "P_avg": "514.24",
        "Ws_avg": "6.87",
        "Va_avg": "6.95",
        "Ot_avg": "4.3",
        "Ya_avg": "172.77",
        "Wa_avg": "179.72",
    }


def test_nothing_is_cleaned():
    changed = rows(dict(export(date(2014, 3, 30), date(2014, 3, 30)))["north/2014-03-30.csv"])
    assert len(changed) == 288 + 12, "the hour of the change to daylight-saving time comes twice"
    silent = rows(dict(export(date(2014, 2, 7), date(2014, 2, 7)))["north/2014-02-07.csv"])
    assert any(row["P_avg"] == "" for row in silent)


def test_a_day_without_data_gives_no_file():
    assert list(export(date(2016, 1, 1), date(2016, 1, 2))) == []


def test_users_send_a_request_a_site_hour():
    requests = list(records("south", DAY, DAY))
    assert len(requests) == 24
    assert {len(request) for request in requests} == {12}
    first = requests[0][0]
    assert set(first) == set(COLUMNS.values())
    assert first["time"] == "2014-01-01T00:00:00Z"
    assert isinstance(first["power_kw"], float)
