"""Functions of the expression language that need nothing but their arguments.

https://learn.microsoft.com/azure/data-factory/control-flow-expression-language-functions
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1, 1, 1, tzinfo=UTC)
TICKS = 10_000_000
"""Ticks (100 ns since the year 1) in a second."""
LARGEST_RANGE = 100_000
"""Items that a ForEach may have."""


def as_text(value: Any) -> str:
    """A value inside a string."""
    if isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else json.dumps(value)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(str(text))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _round_trip(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond * 10:07d}Z"


def _format_time(text: str, pattern: str = "o") -> str:
    if pattern == "o":
        return _round_trip(_time(text))
    names = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S", "yy": "%y"}
    return _time(text).strftime(re.sub("|".join(names), lambda found: names[found[0]], pattern))


def _moved(text: str, pattern: str, **by: float) -> str:
    return _format_time((_time(text) + timedelta(**by)).isoformat(), pattern)


def _ticks(text: str) -> int:
    since = _time(text) - EPOCH
    return (since.days * 86400 + since.seconds) * TICKS + since.microseconds * 10


def _range(start: int, count: int) -> list[int]:
    if not 1 <= count <= LARGEST_RANGE:
        raise ValueError(f"count must be between 1 and {LARGEST_RANGE}, and is {count}")
    return list(range(start, start + count))


def _quotient(left: float, right: float) -> float:
    return int(left / right) if isinstance(left, float) or isinstance(right, float) else left // right


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda left, right: left + right,
    "adddays": lambda text, days, pattern="o": _moved(text, pattern, days=days),
    "addhours": lambda text, hours, pattern="o": _moved(text, pattern, hours=hours),
    "and": lambda left, right: bool(left and right),
    "bool": bool,
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "concat": lambda *values: "".join(map(as_text, values)),
    "contains": lambda within, value: value in within,
    "createarray": lambda *values: list(values),
    "div": _quotient,
    "empty": lambda value: not value,
    "equals": lambda left, right: left == right,
    "formatdatetime": _format_time,
    "greater": lambda left, right: left > right,
    "if": lambda condition, yes, no: yes if condition else no,
    "int": int,
    "json": json.loads,
    "length": len,
    "less": lambda left, right: left < right,
    "mod": lambda left, right: left % right,
    "mul": lambda left, right: left * right,
    "not": lambda value: not value,
    "or": lambda left, right: bool(left or right),
    "range": _range,
    "replace": lambda text, old, new: text.replace(old, new),
    "split": lambda text, by: text.split(by),
    "startofday": lambda text, pattern="o": _format_time(_time(text).date().isoformat(), pattern),
    "string": as_text,
    "sub": lambda left, right: left - right,
    "ticks": _ticks,
    "tolower": str.lower,
    "toupper": str.upper,
    "utcnow": lambda pattern="o": _format_time(datetime.now(UTC).isoformat(), pattern),
}
"""By their names in lower case: the language does not mind case."""
