"""Delimited text to Parquet by a TabularTranslator, as a Copy activity does it."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from include.standin.data_factory import exceptions

TYPES: dict[str, pa.DataType] = {
    "String": pa.string(),
    "Boolean": pa.bool_(),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "Single": pa.float32(),
    "Double": pa.float64(),
    "DateTime": pa.timestamp("us", tz="UTC"),
    "DateTimeOffset": pa.timestamp("us", tz="UTC"),
}
"""Data Factory's interim types as Arrow's."""


@dataclass(frozen=True)
class ColumnMapping:
    """One column: what it is called in the file, and what it becomes."""

    source: str
    sink: str
    kind: str

    @property
    def type(self) -> pa.DataType:
        """The Arrow type."""
        if self.kind not in TYPES:
            raise exceptions.Unsupported(f"the type '{self.kind}' of column '{self.sink}'")
        return TYPES[self.kind]


def read_translator(translator: Mapping[str, Any]) -> list[ColumnMapping]:
    """The columns of a TabularTranslator; the sink's type counts, else the source's, else String."""
    if translator.get("type") != "TabularTranslator" or not translator.get("mappings"):
        raise exceptions.Unsupported("a copy between formats without a TabularTranslator that has mappings")
    return [
        ColumnMapping(
            source=said["source"]["name"],
            sink=said["sink"]["name"],
            kind=said["sink"].get("type") or said["source"].get("type") or "String",
        )
        for said in translator["mappings"]
    ]


@dataclass(frozen=True)
class TextFormat:
    """How a DelimitedText dataset is written."""

    delimiter: str = ","
    quote: str = '"'
    escape: str = "\\"
    header: bool = False
    null: str = ""
    encoding: str = "UTF-8"

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "TextFormat":
        """From the dataset's typeProperties; Data Factory's defaults for what is not said."""
        return cls(
            delimiter=said.get("columnDelimiter", ","),
            quote=said.get("quoteChar", '"'),
            escape=said.get("escapeChar", "\\"),
            header=bool(said.get("firstRowAsHeader", False)),
            null=said.get("nullValue", ""),
            encoding=said.get("encodingName") or "UTF-8",
        )

    @property
    def parse_options(self) -> csv.ParseOptions:
        """The same for Arrow. A quote that is its own escape is a doubled quote."""
        doubled = self.escape == self.quote
        return csv.ParseOptions(
            delimiter=self.delimiter, quote_char=self.quote or False, double_quote=doubled, escape_char=False if doubled else self.escape
        )


def to_parquet(data: bytes, path: str, text: TextFormat, columns: list[ColumnMapping], codec: str) -> tuple[bytes, int]:
    """The file as Parquet, and its number of rows; CopyError names the file, the row and the column that cannot be converted.

    The same bytes give the same bytes.
    """
    if not text.header:
        raise exceptions.Unsupported("delimited text without a header (firstRowAsHeader false)")
    header = _header(data, text)
    for column in columns:
        if column.source not in header:
            raise exceptions.column_not_found(column.source, path, header)
    table = _read(data, path, text, columns)
    out = io.BytesIO()
    pq.write_table(table, out, compression=codec)
    return out.getvalue(), table.num_rows


def _header(data: bytes, text: TextFormat) -> list[str]:
    first = data.split(b"\n", 1)[0].decode(text.encoding, "replace").lstrip("\ufeff").rstrip("\r")
    return [name.strip(text.quote) for name in first.split(text.delimiter)] if first else []


def _read(data: bytes, path: str, text: TextFormat, columns: list[ColumnMapping]) -> pa.Table:
    names = [column.source for column in columns]
    try:
        table = _parsed(data, text, names, {column.source: column.type for column in columns})
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        table = _read_slowly(data, path, text, columns)
    return table.rename_columns([column.sink for column in columns])


def _parsed(data: bytes, text: TextFormat, names: list[str], types: Mapping[str, pa.DataType]) -> pa.Table:
    convert = csv.ConvertOptions(
        column_types=dict(types),
        include_columns=names,
        null_values=[text.null],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        timestamp_parsers=[csv.ISO8601],
    )
    read = csv.ReadOptions(use_threads=False, encoding=text.encoding)
    return csv.read_csv(io.BytesIO(data), read_options=read, parse_options=text.parse_options, convert_options=convert)


def _read_slowly(data: bytes, path: str, text: TextFormat, columns: list[ColumnMapping]) -> pa.Table:
    """As text first, then value by value, to find what cannot be converted."""
    try:
        table = _parsed(data, text, [column.source for column in columns], {column.source: pa.string() for column in columns})
    except (pa.ArrowInvalid, UnicodeDecodeError, LookupError) as error:
        raise exceptions.bad_data(path, str(error)) from error
    arrays = [_converted(table.column(column.source).to_pylist(), column, path) for column in columns]
    return pa.table(arrays, names=[column.source for column in columns])


def _converted(values: list[str | None], column: ColumnMapping, path: str) -> pa.Array:
    found = []
    for number, value in enumerate(values, start=2):
        try:
            found.append(None if value is None else _scalar(value, column.type))
        except (pa.ArrowInvalid, ValueError) as error:
            raise exceptions.conversion_failed(value or "", column.source, column.kind, path, number) from error
    return pa.array(found, column.type)


def _scalar(value: str, kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind):
        return _utc(datetime.fromisoformat(value.strip()))
    return pa.scalar(value.strip(), pa.string()).cast(kind).as_py()


def _utc(at: datetime) -> datetime:
    """A time without a zone is taken for UTC, as Data Factory does."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
