"""Validation of a site's partitions, with a button that leads to the report."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator, BaseOperatorLink, Context


class DataDocsLink(BaseOperatorLink):
    """The button that leads to Great Expectations' report."""

    name = "Data Docs"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The report's address; empty when the checks did not come so far."""
        return getattr(operator, "docs", None) or ""


class ValidateSiteOperator(BaseOperator):
    """Runs the workload's suite on one site's raw partitions of a window (`edgeloop.stages.validate`).

    Gives counts and the report's address.

    :param part: `{"site", "window"}` (templated).
    """

    template_fields: Sequence[str] = ("part",)
    operator_extra_links = (DataDocsLink(),)

    def __init__(self, *, workload: str, part: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workload = workload
        self.part = part
        self.docs: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Validate, and say what came of it."""
        from edgeloop.stages import validate

        report = validate.check_site(self.workload, self.part["site"], self.part["window"])
        self.docs = report["docs"]
        self.log.info(
            "%s %s: %d rows, %d good, %d in quarantine %s; report: %s",
            *(report[name] for name in ("site", "window", "rows", "good", "quarantined", "reasons", "docs")),
        )
        return report
