"""Rows of measurements, each beside the thing it is compared with in the same run."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One measurement: a value, what it is compared with, in the same unit."""

    what: str
    value: float
    against: str
    reference: float
    unit: str

    @property
    def ratio(self) -> float:
        return self.value / self.reference


def table(rows: list[Row]) -> str:
    """As Markdown."""
    lines = ["| what | value | against | value | ratio |", "|---|---|---|---|---|"]
    lines += [f"| {r.what} | {r.value:.4g} {r.unit} | {r.against} | {r.reference:.4g} {r.unit} | {r.ratio:.3f} |" for r in rows]
    return "\n".join(lines) + "\n"


def plot(rows: list[Row], file: Path) -> None:
    """The ratios as bars."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 0.4 * len(rows) + 1))
    axes.barh([f"{r.what} : {r.against}" for r in rows], [r.ratio for r in rows])
    axes.set_xscale("log")
    axes.set_xlabel("ratio")
    figure.tight_layout()
    figure.savefig(file)
