"""Windows: the days that one run of a stage handles, first and last day included. A window's name is its partition key."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

LONGEST = 1100
"""Days; a longer window is taken for a mistake in the form."""


class WindowError(ValueError):
    """A window that no run can handle; the message says what to enter instead."""


@dataclass(frozen=True, order=True)
class Window:
    """Days from `first` to `last`, both included, in UTC."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise WindowError(f"the window ends on {self.last}, before it starts on {self.first}: swap First day and Last day")
        if (self.last - self.first).days >= LONGEST:
            raise WindowError(f"the window {self} is longer than {LONGEST} days: split it")

    @classmethod
    def parse(cls, name: str) -> "Window":
        """Read `2014-01-01..2014-12-31`, or one day, `2014-01-01`."""
        first, _, last = name.partition("..")
        try:
            return cls(date.fromisoformat(first), date.fromisoformat(last or first))
        except WindowError:
            raise
        except ValueError:
            raise WindowError(f"{name!r} is not a window: write <first day>..<last day> as yyyy-mm-dd..yyyy-mm-dd") from None

    @classmethod
    def asked(cls, start: str | None, end: str | None, partition_key: str | None, today: date) -> "Window":
        """The window of a run: what its form says, else its partition key.

        Only whole days that are over can be asked for: `today` (UTC) and later are refused.
        """
        if not start and end:
            raise WindowError("Last day is given without First day: enter both, or none for the day of the partition")
        name = start or partition_key
        if not name:
            raise WindowError("no window: enter First day, or give the run a partition key (a day, or <first day>..<last day>)")
        window = cls.parse(f"{start}..{end or start}" if start else name)
        if window.last >= today:
            raise WindowError(
                f"the window {window} is not over yet (today is {today} UTC): the last day can be {today - timedelta(days=1)}"
            )
        return window

    def days(self) -> Iterator[date]:
        """Each day of the window."""
        for n in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=n)

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"
