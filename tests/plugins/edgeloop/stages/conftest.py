"""Real days of the wind farm, as ingest leaves them in the lake."""

import io
from datetime import date

import pyarrow as pa
import pytest
from pyarrow import csv

from include.domain import naming
from include.workloads.wind_power.sample.export import COLUMNS, export

WORKLOAD = "wind_power"


def raw_table(content: bytes) -> pa.Table:
    kinds = {name: pa.float64() for name in COLUMNS if name.endswith("_avg")} | {"Date_time": pa.timestamp("us", "UTC")}
    table = csv.read_csv(io.BytesIO(content), convert_options=csv.ConvertOptions(column_types=kinds))
    return table.rename_columns([*COLUMNS.values()])


@pytest.fixture
def lake(storage, connections):
    """An empty lake."""
    from edgeloop.hooks.lake import LakeHook

    found = LakeHook()
    for blob in found.blobs(f"{WORKLOAD}/"):
        found.delete(blob.name)
    return found


@pytest.fixture
def ingest(lake):
    """Put real days into the stage `raw`; gives the tables by (site, day)."""

    def put(first: date, last: date, change=lambda table: table):
        tables = {}
        for name, content in export(first, last):
            site, day = name.removesuffix(".csv").split("/")
            table = change(raw_table(content))
            tables[site, day] = table
            lake.write_table(naming.partition(WORKLOAD, "raw", site, date.fromisoformat(day), "measurements.parquet"), table)
        return tables

    return put
