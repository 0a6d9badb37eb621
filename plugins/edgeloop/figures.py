"""Figures for pages, as inline SVG."""

import io
import re
from collections.abc import Sequence
from datetime import date

from include.domain.publication import Aggregate

EXPECTED, MEASURED, ANOMALIES = "#64748b", "#0f766e", "#b45309"
"""Distinguishable without colour as well: the expected line is dashed."""


def days_svg(site: str, days: Sequence[Aggregate]) -> str:
    """Energy expected and measured, and anomalies, of each day. Days that are withheld are gaps."""
    import matplotlib
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    settings = {"svg.fonttype": "none", "svg.hashsalt": site, "font.family": "sans-serif", "font.size": 10}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(9, 4.2), layout="constrained")
        energy, anomalies = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        at = [date.fromisoformat(one.date) for one in days]
        marker = "o" if len(days) < 3 else None
        energy.plot(at, _values(days, "expected_mwh"), "--", color=EXPECTED, marker=marker, label="expected")
        energy.plot(at, _values(days, "measured_mwh"), color=MEASURED, marker=marker, label="measured")
        energy.set_ylabel("MWh a day")
        energy.axhline(0, color=EXPECTED, linewidth=0.8)  # zero is always in view: differences keep their size
        energy.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
        anomalies.bar(at, _values(days, "anomalies"), color=ANOMALIES)
        anomalies.set_ylabel("anomalies")
        locator = AutoDateLocator()
        anomalies.xaxis.set_major_locator(locator)
        anomalies.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        for axes in (energy, anomalies):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", alpha=0.25)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return _inline(out.getvalue(), site)


def _values(days: Sequence[Aggregate], name: str) -> list[float]:
    return [float("nan") if getattr(one, name) is None else float(getattr(one, name)) for one in days]


def _inline(svg: str, site: str) -> str:
    """Without the XML prologue, hidden from screen readers (the page has a table), ids unique on the page."""
    prefix = re.sub(r"[^a-z0-9]", "-", site.lower())
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}-", svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    svg = re.sub(r'<svg ([^>]*?)(?:width="[^"]*" |height="[^"]*" )+', r"<svg \1", svg, count=1)
    return re.sub(r"<svg ", '<svg aria-hidden="true" focusable="false" ', svg, count=1)
