"""Rows of a raw partition, typed as the workload's schema says. What cannot be read as its type is missing and marked."""

import io
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgeloop.exceptions import UnusableInput
from include.domain.validation import Reason
from include.domain.workload import Column, Workload

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Rows:
    """The rows of one partition."""

    raw: "pa.Table"
    """As they were stored."""
    typed: "pa.Table"
    """The schema's columns: number float64, time timestamp[us, UTC], category and text string."""
    unreadable: dict[int, list[str]] = field(default_factory=dict)
    """Reasons of rows with a value that is not of its column's type."""

    def __len__(self) -> int:
        return int(self.raw.num_rows)


def read_rows(workload: Workload, files: list[tuple[str, bytes]]) -> Rows:
    """The rows of a partition's files (blob name, bytes), in the order given. UnusableInput names the blob and what is wrong with it."""
    import pyarrow as pa

    raw = pa.concat_tables([_read(workload, name, content) for name, content in files], promote_options="permissive")
    raw = raw.combine_chunks()
    unreadable: dict[int, list[str]] = defaultdict(list)
    typed = []
    for column in workload.columns:
        values, lost = _cast(raw[column.name].combine_chunks(), column)
        typed.append(values)
        for row in lost:
            unreadable[row].append(Reason.UNREADABLE.of(column.name))
    return Rows(raw, pa.table(typed, names=[column.name for column in workload.columns]), dict(unreadable))


def _read(workload: Workload, name: str, content: bytes) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(io.BytesIO(content)).read()
    except (pa.ArrowInvalid, OSError) as error:
        raise UnusableInput(f"{name} is no readable Parquet file ({error}): ingest its day again") from error
    lacking = [column.name for column in workload.columns if column.name not in table.column_names]
    if lacking:
        raise UnusableInput(
            f"{name} lacks the column {', '.join(lacking)}; it has {', '.join(table.column_names)}. "
            f"Compare the mapping in include/workloads/{workload.name}/data_factory with the schema in workload.yaml."
        )
    return table.select([column.name for column in workload.columns])


def _cast(values: "pa.Array", column: Column) -> "tuple[pa.Array, list[int]]":
    """The values as the column's type, and the rows whose value is there but cannot be read."""
    import pyarrow as pa

    aim = {"number": pa.float64(), "time": pa.timestamp("us", "UTC")}.get(column.type, pa.string())
    try:
        return values.cast(aim), []
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _cast_each(values, column, aim)


def _cast_each(values: "pa.Array", column: Column, aim: "pa.DataType") -> "tuple[pa.Array, list[int]]":
    import pandas as pd
    import pyarrow as pa

    said = pd.Series(values.to_pylist(), dtype=object)
    if column.type == "number":
        read = pd.to_numeric(said, errors="coerce")
    elif column.type == "time":
        read = pd.to_datetime(said, errors="coerce", utc=True, format="ISO8601").dt.as_unit("us")
    else:
        read = said.map(str, na_action="ignore")
    lost = said.notna() & read.isna()
    return pa.array(read, aim, from_pandas=True), [int(row) for row in lost[lost].index]
