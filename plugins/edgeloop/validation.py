"""Great Expectations on the rows of a site: which rows are bad, for which reasons, and a report that shows counts only."""

import importlib
import logging
import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgeloop.exceptions import CheckCrashed
from include.domain.validation import Reason, Tally
from include.domain.workload import Workload

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite

ROW = "row"
"""Column that numbers the rows: Great Expectations names the bad ones by it."""

COUNTS = ("element_count", "unexpected_count", "unexpected_percent", "missing_count", "missing_percent")
"""All that a report may show of a result; everything else can hold values."""


@dataclass
class Checks:
    """The suite of one workload and site, and what it found so far."""

    workload: Workload
    site: str
    results: list[Any] = field(default_factory=list)
    """The newest batch's result of each expectation."""
    tallies: dict[int, Tally] = field(default_factory=dict)
    """Sum over all batches, by the expectation's place in the suite."""

    @cached_property
    def _module(self) -> Any:
        return importlib.import_module(f"include.workloads.{self.workload.name}.expectations")

    @cached_property
    def suite(self) -> "ExpectationSuite":
        """The workload's suite for this site."""
        os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import
        logging.getLogger("great_expectations").setLevel(logging.WARNING)  # hundreds of lines about itself in the task's log
        found: ExpectationSuite = self._module.suite(self.workload, self.site)
        return found

    @cached_property
    def _batches(self) -> Any:
        suite = self.suite  # imports the library with its telemetry off
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        source = context.data_sources.add_pandas(suite.name)
        return source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")

    def run(self, rows: "pd.DataFrame") -> dict[int, list[str]]:
        """Check one batch; gives the reasons of each bad row, by the row's number (the frame's index, 0..n-1).

        CheckCrashed names the expectation that could not be evaluated: that says nothing about the data.
        """
        self._module.derive(rows)
        rows[ROW] = range(len(rows))
        form = {"result_format": "COMPLETE", "unexpected_index_column_names": [ROW]}
        done = self._batches.get_batch(batch_parameters={"dataframe": rows}).validate(self.suite, result_format=form)
        bad: dict[int, list[str]] = defaultdict(list)
        for place, result in enumerate(done.results):
            self._refuse_a_crash(result)
            reason = _reason(result)
            for found in result.result.get("unexpected_index_list") or ():
                bad[int(found[ROW])].append(reason)
            self._count(place, reason, result)
        self.results = done.results
        return dict(bad)

    def _refuse_a_crash(self, result: Any) -> None:
        said = result.exception_info or {}
        entries = [said] if "raised_exception" in said else [*said.values()]
        for entry in entries:
            if entry.get("raised_exception"):
                raise CheckCrashed(
                    f"{_name(result)} of workload {self.workload.name} could not be evaluated on site {self.site}: "
                    f"{_without_values(entry)}. Correct include/workloads/{self.workload.name}/expectations.py; the data is not judged."
                )

    def _count(self, place: int, reason: str, result: Any) -> None:
        said = result.result
        tally = Tally(
            _name(result), reason, said.get("element_count") or 0, said.get("unexpected_count") or 0, said.get("missing_count") or 0
        )
        self.tallies[place] = self.tallies[place] + tally if place in self.tallies else tally

    def report(self) -> str:
        """Data Docs of all batches together, an HTML page without any value of the data."""
        from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
        from great_expectations.render.renderer import ValidationResultsPageRenderer
        from great_expectations.render.view import DefaultJinjaPageView

        shown = [
            ExpectationValidationResult(
                success=tally.bad == 0,
                expectation_config=self.results[place].expectation_config,
                result=_counts(tally),
                exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
            )
            for place, tally in sorted(self.tallies.items())
        ]
        passed = sum(result.success for result in shown)
        statistics = {
            "evaluated_expectations": len(shown),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(shown) - passed,
            "success_percent": 100.0 * passed / max(1, len(shown)),
        }
        whole = ExpectationSuiteValidationResult(
            success=passed == len(shown), results=shown, suite_name=self.suite.name, statistics=statistics, meta={}
        )
        return _self_contained(str(DefaultJinjaPageView().render(ValidationResultsPageRenderer(run_info_at_end=True).render(whole))))


STYLE = """<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}
.badge{font-weight:600}ul{padding-left:1rem}</style>"""


def _self_contained(page: str) -> str:
    """The page without what it would fetch from the internet: a site has none, and a report must not tell others that it is read."""
    page = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL | re.IGNORECASE)
    page = re.sub(r"<(link|img)\b[^>]*https?://[^>]*>", "", page, flags=re.IGNORECASE)
    page = re.sub(r"<a\b[^>]*href=[\"']https?://[^>]*>.*?</a>", "", page, flags=re.DOTALL | re.IGNORECASE)
    return page.replace("</head>", STYLE + "</head>", 1)


def _counts(tally: Tally) -> dict[str, Any]:
    percent = 100.0 / max(1, tally.checked)
    values = (tally.checked, tally.bad, tally.bad * percent, tally.missing, tally.missing * percent)
    return dict(zip(COUNTS, values, strict=True))


def _reason(result: Any) -> str:
    return str((result.expectation_config.meta or {}).get("reason") or Reason.BROKEN_RULE.of(result.expectation_config.type))


def _name(result: Any) -> str:
    kwargs = result.expectation_config.kwargs
    columns = kwargs.get("column") or kwargs.get("column_list") or (kwargs.get("column_A"), kwargs.get("column_B"))
    return f"{result.expectation_config.type}({columns if isinstance(columns, str) else ', '.join(str(c) for c in columns)})"


def _without_values(entry: Any) -> str:
    """The exception's type and the first line of its message; deeper lines quote data."""
    lines = str(entry.get("exception_message") or "").strip().splitlines() or ["no message"]
    return lines[0][:200]
