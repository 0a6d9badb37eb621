"""What a site has: the daily exports of its historian, and the requests of its users, both out of the sample data."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include import workloads

if TYPE_CHECKING:
    import pyarrow as pa

SCADA = Path(__file__).parent / "scada_2014_2015.parquet"

COLUMNS = {
    "Wind_turbine_name": "turbine",
    "Date_time": "time",
    "Ba_avg": "pitch_deg",
    "P_avg": "power_kw",
    "Ws_avg": "wind_speed_ms",
    "Va_avg": "vane_deg",
    "Ot_avg": "temperature_c",
    "Ya_avg": "nacelle_deg",
    "Wa_avg": "wind_direction_deg",
}
"""The historian's names and the workload's, in the order of an export."""


def sites() -> dict[str, list[str]]:
    """Which turbines stand on which site, as workload.yaml says."""
    return dict(workloads.load("wind_power").extra["turbines"])


def export(first: date, last: date) -> Iterator[tuple[str, bytes]]:
    """(`<site>/<yyyy-mm-dd>.csv`, bytes) of each site and day from `first` to `last`, as the historian left them: nothing is cleaned.

    Times are ISO 8601 in UTC (`2014-01-01T00:00:00Z`), a missing value is an empty field. A day without rows gives no file.
    """
    for site, turbines in sites().items():
        table = _read(turbines, first, last)
        for day, rows in _by_day(table):
            yield f"{site}/{day.isoformat()}.csv", _csv(_as_exported(rows))


def records(site: str, first: date, last: date) -> Iterator[list[dict[str, Any]]]:
    """The records of the site as requests for the scorer: one request a site-hour, at most twelve records, in the workload's names.

    Times are ISO 8601 strings; a missing value is None. Rows without wind speed or power are left out: no user enters an empty form.
    """
    table = _read(sites()[site], first, last).sort_by([("Date_time", "ascending"), ("Wind_turbine_name", "ascending")])
    rows = table.rename_columns([*COLUMNS.values()]).to_pylist()
    for _, of_hour in groupby(rows, key=lambda row: row["time"].replace(minute=0)):
        request = [_record(row) for row in of_hour if row["wind_speed_ms"] is not None and row["power_kw"] is not None]
        if request:
            yield request


def _record(row: dict[str, Any]) -> dict[str, Any]:
    rounded = {name: round(value, 2) if isinstance(value, float) else value for name, value in row.items()}
    return {**rounded, "time": f"{row['time']:%Y-%m-%dT%H:%M:%SZ}"}


def _read(turbines: list[str], first: date, last: date) -> "pa.Table":
    import pyarrow.parquet as pq

    low = datetime.combine(first, time(), UTC)
    high = datetime.combine(last, time(), UTC) + timedelta(days=1)
    asked = [("Wind_turbine_name", "in", turbines), ("Date_time", ">=", low), ("Date_time", "<", high)]
    return pq.read_table(SCADA, columns=[*COLUMNS], filters=asked)


def _by_day(table: "pa.Table") -> "Iterator[tuple[date, pa.Table]]":
    import pyarrow.compute as pc

    days = pc.cast(table["Date_time"], "date32")
    order = pc.sort_indices(days)
    table, start = table.take(order).combine_chunks(), 0
    for found in days.take(order).value_counts().to_pylist():
        yield found["values"], table.slice(start, found["counts"])
        start += found["counts"]


def _as_exported(table: "pa.Table") -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    seconds = pc.cast(table["Date_time"], pa.timestamp("s", "UTC"))
    stamps = pc.strftime(seconds, format="%Y-%m-%dT%H:%M:%SZ")
    return table.set_column(table.schema.get_field_index("Date_time"), "Date_time", stamps)


def _csv(rows: "pa.Table") -> bytes:
    import pyarrow as pa
    from pyarrow import csv

    sink = pa.BufferOutputStream()
    sink.write((",".join(rows.column_names) + "\n").encode())
    csv.write_csv(rows, sink, csv.WriteOptions(include_header=False, quoting_style="none"))
    return bytes(sink.getvalue())
