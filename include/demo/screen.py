"""Progress on one screen: what is done, what runs, counts, elapsed. Plain lines where there is no terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table


@dataclass
class Line:
    """One chapter of the demo."""

    title: str
    started: float | None = None
    ended: float | None = None
    said: str = ""
    failed: bool = False

    @property
    def seconds(self) -> float:
        """How long it took, or takes so far."""
        return 0.0 if self.started is None else (self.ended or time.monotonic()) - self.started

    @property
    def mark(self) -> str:
        """Its state as one sign."""
        if self.failed:
            return "[red]✗[/]"
        return "[green]✓[/]" if self.ended else "[yellow]…[/]" if self.started else "·"


@dataclass
class Screen:
    """The chapters, drawn again whenever one says something."""

    titles: list[str]
    console: Console = field(default_factory=Console)

    def __post_init__(self) -> None:
        self.lines = [Line(title) for title in self.titles]
        self.start = time.monotonic()
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator["Screen"]:
        """While the demo runs."""
        if not self.console.is_terminal:
            yield self
            return
        with Live(get_renderable=self._table, console=self.console, refresh_per_second=4) as self._live:
            yield self

    @contextmanager
    def chapter(self, title: str) -> Iterator[Callable[[str], None]]:
        """One chapter; gives a function that tells how far it is."""
        line = next(line for line in self.lines if line.title == title)
        line.started = time.monotonic()

        def say(text: str) -> None:
            line.said = text

        try:
            yield say
        except BaseException:
            line.failed = True
            raise
        finally:
            line.ended = time.monotonic()
            if self._live is None:
                state = "FAILED" if line.failed else "done"
                self.console.print(
                    f"{self.elapsed:6.1f} s  {title}: {state} in {line.seconds:.1f} s  {line.said}", markup=False, soft_wrap=True
                )

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    def _table(self) -> Table:
        table = Table(title=f"edgeloop: the loop, {self.elapsed:.0f} s", title_justify="left", box=None, padding=(0, 1), show_header=False)
        for line in self.lines:
            table.add_row(line.mark, line.title, f"{line.seconds:.0f} s" if line.started else "", line.said)
        return table
