"""Approval of a release: a person in the UI, or the environment by its Connection. Every outcome goes to the ledger."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context

from edgeloop import ledger
from edgeloop.exceptions import NothingToDo

RESPONSE = timedelta(hours=72)
"""Nobody answering for so long is a failed task, not a rejection: there are no defaults."""
AUTOMATIC = {"id": "policy", "name": "automatic in this environment"}
DEEPEST = 2
"""Levels of facts that the question shows; the ledger has all."""


class ReleaseApproval(ApprovalOperator):
    """Asks whether the packaged digest may be released; approves by itself where the cloud profile's `approval` says `automatic`.

    A rejection skips what follows, and Airflow keeps no result of it; so the operator itself records what came of it:
    `outcome` (`approved`, `rejected`, `unanswered`), `digest`, `by`, `at`.

    :param workload: name of the workload.
    :param snapshot: subject in the ledger (templated).
    """

    template_fields: Sequence[str] = (*ApprovalOperator.template_fields, "snapshot")

    def __init__(self, *, workload: str, snapshot: str, **kwargs: Any) -> None:
        kwargs.setdefault("subject", f"Release this model of {workload}?")
        kwargs.setdefault("response_timeout", RESPONSE)
        super().__init__(**kwargs)
        self.body: str | None = kwargs.get("body")
        self.workload = workload
        self.snapshot = snapshot

    def execute(self, context: Context) -> Any:
        """Put the question, with what is known of the candidate; or answer it where nobody is to be asked."""
        from edgeloop.hooks.cloud import CloudHook

        digest = self._digest()
        if CloudHook().profile.approval == "automatic":
            self._record("approved", digest, AUTOMATIC, datetime.now(UTC))
            return {"chosen_options": [self.APPROVE], "digest": digest}
        if not self.body:
            self.body = self._question(digest)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record the answer, before the base class skips or fails what follows."""
        self._record(self._outcome(event), self._digest(), event.get("responded_by_user"), event.get("responded_at"))
        return super().execute_complete(context, event)

    def _outcome(self, event: Mapping[str, Any]) -> str:
        if "error" in event:
            return "unanswered"
        return "approved" if event["chosen_options"] == [self.APPROVE] else "rejected"

    def _digest(self) -> str:
        packaged = ledger.read(self.workload, self.snapshot, "package")
        if packaged is None:
            raise NothingToDo(f"the ledger of {self.workload} has no package for {self.snapshot}: clear the task package")
        return str(packaged["digest"])

    def _record(self, outcome: str, digest: str, by: object, at: object) -> None:
        ledger.record(self.workload, self.snapshot, "approval", {"outcome": outcome, "digest": digest, "by": by, "at": at})
        self.log.info("The release of %s is %s", digest, outcome)

    def _question(self, digest: str) -> str:
        """Markdown: what it is, and how parity and gate judged it."""
        lines = [f"Image `{digest}`", f"Training data `{self.snapshot}`", ""]
        for step in ("candidate", "parity", "gate"):
            rows = [*_rows(ledger.read(self.workload, self.snapshot, step) or {})]
            lines += [f"**{step}**", "", "| what | found |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
        return "\n".join([*lines, "Approve copies the digest to the release registry and starts its rollout. Reject ends here."])


def _rows(facts: Mapping[str, Any], prefix: str = "", deep: int = DEEPEST) -> "Sequence[tuple[str, str]]":
    """Facts as table rows, nested ones by their path."""
    rows: list[tuple[str, str]] = []
    for name, value in facts.items():
        if name in ("workload", "subject", "step"):
            continue
        if isinstance(value, Mapping) and deep > 1:
            rows += _rows(value, f"{prefix}{name} ", deep - 1)
        else:
            said = ", ".join(map(str, value)) if isinstance(value, list) else f"{value:.4g}" if isinstance(value, float) else str(value)
            rows.append((f"{prefix}{name}", said.replace("|", "\\|").replace("\n", " ")[:300]))
    return rows
