"""Validation's decision: which rows of a partition go on, which are quarantined, and when a partition is withheld as a whole."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

Reasons = tuple[str, ...]


class Reason(StrEnum):
    """Why a row is bad. The code stands before the column: `out_of_range:temperature_c`."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    """Not the column's type: text where a number is due."""
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN = "unknown"
    """A category that the site does not have."""
    DUPLICATE = "duplicate"
    """The same machine and time twice: nobody can tell which of the two is right."""
    OTHER_DAY = "other_day"
    """The row belongs to another partition."""
    OFF_GRID = "off_grid"
    """Not on the grid of times that the source measures on."""
    BROKEN_RULE = "broken_rule"
    """A rule of the workload that names no reason of its own."""

    def of(self, column: str | None) -> str:
        """The code as it is written to quarantine and reports."""
        return f"{self.value}:{column}" if column else self.value


@dataclass(frozen=True)
class Split:
    """What happens to the rows of one partition; row numbers, each in exactly one of the two lists."""

    good: tuple[int, ...]
    quarantined: Mapping[int, Reasons]
    withheld: bool
    """The share of bad rows passed the threshold: nothing goes on, the good rows are quarantined too (without a reason of their own)."""

    @property
    def counts(self) -> dict[str, int]:
        """How many rows have each reason; a row with two counts twice."""
        return dict(sorted(Counter(reason for reasons in self.quarantined.values() for reason in reasons).items()))


WITHHELD = "partition_withheld"
"""Reason of a good row in a partition that is bad as a whole."""


def split(bad: Mapping[int, Iterable[str]], rows: int, largest_bad_share: float) -> Split:
    """Separate the rows `0..rows-1` of a partition. A partition without rows is withheld: no data is not good news."""
    outside = [row for row in bad if not 0 <= row < rows]
    if outside:
        raise ValueError(f"row {outside[0]} is reported as bad, but the partition has {rows} rows")
    marked = {row: tuple(sorted(set(reasons))) for row, reasons in sorted(bad.items())}
    if rows == 0 or len(marked) / rows > largest_bad_share:
        return Split((), {row: marked.get(row, (WITHHELD,)) for row in range(rows)}, withheld=True)
    return Split(tuple(row for row in range(rows) if row not in marked), marked, withheld=False)


@dataclass(frozen=True)
class Tally:
    """One check over many rows: counts only, never a value."""

    expectation: str
    reason: str
    checked: int
    bad: int
    missing: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        if (self.expectation, self.reason) != (other.expectation, other.reason):
            raise ValueError(f"{self.expectation} ({self.reason}) and {other.expectation} ({other.reason}) are two checks")
        return Tally(self.expectation, self.reason, self.checked + other.checked, self.bad + other.bad, self.missing + other.missing)
