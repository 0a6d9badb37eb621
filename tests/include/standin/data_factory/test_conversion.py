import io

import pyarrow.parquet as pq
import pytest

from include.standin.data_factory.conversion import ColumnMapping, TextFormat, read_translator, to_parquet
from include.standin.data_factory.exceptions import CopyError, Unsupported

TEXT = TextFormat(header=True)
COLUMNS = [ColumnMapping("id", "turbine", "String"), ColumnMapping("at", "time", "DateTime"), ColumnMapping("p", "power_kw", "Double")]
GOOD = b"id,at,p\nR1,2014-01-01T00:00:00Z,12.5\nR2,2014-01-01T00:10:00Z,\n"


def table(data, text=TEXT, columns=COLUMNS):
    content, rows = to_parquet(data, "north/2014-01-01.csv", text, columns, "snappy")
    read = pq.read_table(io.BytesIO(content))
    assert read.num_rows == rows
    return read


def test_columns_get_the_names_and_types_of_the_mapping_and_empty_is_missing():
    read = table(GOOD)
    assert [(field.name, str(field.type)) for field in read.schema] == [
        ("turbine", "string"),
        ("time", "timestamp[us, tz=UTC]"),
        ("power_kw", "double"),
    ]
    assert read["power_kw"].to_pylist() == [12.5, None]
    assert read["time"].to_pylist()[1].isoformat() == "2014-01-01T00:10:00+00:00"


def test_the_same_file_gives_the_same_bytes():
    assert to_parquet(GOOD, "a", TEXT, COLUMNS, "snappy") == to_parquet(GOOD, "a", TEXT, COLUMNS, "snappy")


def test_a_time_without_a_zone_is_taken_for_utc():
    assert table(b"id,at,p\nR1,2014-01-01T00:00:00,1\n")["time"].to_pylist()[0].isoformat() == "2014-01-01T00:00:00+00:00"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm():
    assert table(b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n")).num_rows == 2


def test_a_header_without_rows_is_an_empty_table():
    assert table(b"id,at,p\n").num_rows == 0


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (
            b"id,at\nR1,2014-01-01T00:00:00Z\n",
            "UserErrorInvalidColumnMappingColumnNotFound",
            "Column 'p' .* 'north/2014-01-01.csv'.*: id, at",
        ),
        (b"", "UserErrorInvalidColumnMappingColumnNotFound", "Columns found: none"),
        (
            b"id,at,p\nR1,2014-01-01T00:00:00Z,1\nR1,2014-01-01T00:10:00Z,much\n",
            "TypeConversionFailure",
            "value 'much' for column name 'p' from type 'String' to type 'Double' in file 'north/2014-01-01.csv' with row number 3",
        ),
        (b"id,at,p\nR1,yesterday,1\n", "TypeConversionFailure", "value 'yesterday' for column name 'at'"),
        (b"id,at,p\nR1,2014-01-01T00:00:00Z\n", "DelimitedTextBadDataDetected", "'north/2014-01-01.csv'.*Expected 3 columns, got 2"),
        (b"id,at,p\n\xff\xfe,2014-01-01T00:00:00Z,1\n", "DelimitedTextBadDataDetected", "UTF8"),
    ],
)
def test_bad_files_are_named(data, code, message):
    with pytest.raises(CopyError, match=message) as raised:
        table(data)
    assert raised.value.code == code
    assert f"ErrorCode={code}," in str(raised.value)


def test_what_is_not_done_here_says_so():
    with pytest.raises(Unsupported, match="firstRowAsHeader false"):
        table(GOOD, TextFormat())
    with pytest.raises(Unsupported, match="type 'Guid' of column 'x'"):
        table(GOOD, columns=[ColumnMapping("id", "x", "Guid")])
    with pytest.raises(Unsupported, match="TabularTranslator"):
        read_translator({})
