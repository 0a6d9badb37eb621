"""Rows that may leave, as Parquet. Every file of a policy has the same columns and types, whatever its events hold."""

import io
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from include.domain.border import ENVELOPE, Policy, Value

_TYPES = {"number": pa.float64(), "text": pa.string(), "time": pa.timestamp("us", tz="UTC"), "boolean": pa.bool_()}


def schema(policy: Policy) -> pa.Schema:
    """The envelope's columns, then the policy's fields. Its metadata names the policy."""
    columns = [(name, _TYPES["time" if name == "time" else "text"]) for name in ENVELOPE]
    columns += [(name, _TYPES[kind]) for name, kind in policy.columns().items()]
    return pa.schema(columns, metadata={"edgeloop.policy": policy.digest})


def to_parquet(rows: Sequence[Mapping[str, Value]], policy: Policy) -> bytes:
    """The same rows give the same bytes."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema(policy)), buffer, compression="zstd")
    return buffer.getvalue()
