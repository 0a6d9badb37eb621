"""What every DAG of a workload has in common, and the fields that its trigger forms share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

from edgeloop.exceptions import NothingToDo, Refused
from include.domain.windows import WindowError
from include.domain.workload import Workload
from include.settings import DEFAULT_ARGS


def dag_arguments(workload: Workload, stage: str, doc: str | None) -> dict[str, Any]:
    """Arguments of a stage's DAG. `stage`: number and name, as the tag shows it (`2 validate`)."""
    return {
        "dag_id": f"{workload.name}.{stage.partition(' ')[2]}",
        "dag_display_name": f"{workload.name}: {stage}",
        "description": (doc or "").strip().partition("\n")[0],
        "doc_md": doc,
        "tags": [workload.name, stage],
        "catchup": False,
        "max_active_runs": 1,
        "default_args": {**DEFAULT_ARGS, "owner": workload.owner},
    }


def window_fields(meaning: str) -> dict[str, Param]:
    """First and last day of a window. A year is one run: the Backfill button would make a run of each day."""
    return {
        "window_start": Param(
            None,
            type=["null", "string"],
            format="date",
            title="First day",
            description=f"{meaning} Days are in UTC. A whole year is one run; do not use Backfill for it.",
        ),
        "window_end": Param(
            None, type=["null", "string"], format="date", title="Last day", description="Included. Empty: the first day only."
        ),
    }


def sites_field(workload: Workload) -> dict[str, Param]:
    """Which sites."""
    names = list(workload.sites)
    field = Param(
        names,
        type="array",
        items={"type": "string", "enum": names},
        examples=names,
        title="Sites",
        description="Which sites. Default: all.",
    )
    return {"sites": field}


def reason_field() -> dict[str, Param]:
    """Why somebody starts this by hand."""
    return {
        "reason": Param(
            "scheduled", type="string", minLength=3, maxLength=200, title="Reason", description="Why. It is kept in the ledger."
        )
    }


@contextmanager
def told_once() -> Iterator[None]:
    """What a person entered does not get better by trying again: such an error ends the task at its first try."""
    try:
        yield
    except (WindowError, NothingToDo, Refused) as why:
        raise AirflowFailException(str(why)) from why


def required_key(partition_key: str | None, what: str) -> str:
    """The partition key that an event gave this run; NothingToDo tells a person who started it without one what to enter."""
    if not partition_key:
        raise NothingToDo(f"this run has no {what}: start it with one as its Partition Key (under Advanced Options in the trigger form)")
    return partition_key
