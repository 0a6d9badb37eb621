"""Every outcome of an approval is in the ledger; the question says what is approved."""

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import TaskAwaitingInput

from edgeloop import ledger
from edgeloop.exceptions import NothingToDo
from edgeloop.operators.approval import ReleaseApproval

WORKLOAD = "wind_power"
DIGEST = "sha256:" + "d" * 64


@pytest.fixture
def snapshot(storage: object, connections: dict[str, Any]) -> str:
    found = "sha256:" + hashlib.sha256(uuid.uuid4().bytes).hexdigest()
    ledger.record(WORKLOAD, found, "candidate", {"job": "job-1"})
    ledger.record(
        WORKLOAD, found, "gate", {"verdict": "promote", "overall": {"challenger_rmse": 89.51234, "champion": None}, "reasons": ["a|b"]}
    )
    ledger.record(WORKLOAD, found, "package", {"digest": DIGEST, "reference": f"r/a@{DIGEST}"})
    return found


def mode(monkeypatch: pytest.MonkeyPatch, connections: dict[str, Any], approval: str) -> None:
    said = json.loads(json.dumps(connections["edgeloop_cloud"]))
    said["extra"] = {**said["extra"], "approval": approval}
    monkeypatch.setenv("AIRFLOW_CONN_EDGELOOP_CLOUD", json.dumps(said))


def operator(snapshot: str) -> ReleaseApproval:
    return ReleaseApproval(task_id="approve", workload=WORKLOAD, snapshot=snapshot)


def event(option: str) -> dict[str, Any]:
    by = {"id": "7", "name": "ada"}
    return {"chosen_options": [option], "params_input": {}, "responded_at": datetime.now(UTC), "responded_by_user": by, "timedout": False}


def recorded(snapshot: str) -> dict[str, Any]:
    found = ledger.read(WORKLOAD, snapshot, "approval")
    assert found is not None
    return found


def test_automatic_where_the_connection_says_so(snapshot: str, connections: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    mode(monkeypatch, connections, "automatic")
    assert operator(snapshot).execute({})["digest"] == DIGEST  # type: ignore[typeddict-item]
    assert recorded(snapshot)["outcome"] == "approved"
    assert recorded(snapshot)["digest"] == DIGEST
    assert recorded(snapshot)["by"]["name"] == "automatic in this environment"


def test_a_person_is_asked(snapshot: str, connections: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    mode(monkeypatch, connections, "person")
    asked: dict[str, Any] = {}
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **said: asked.update(said))
    with pytest.raises(TaskAwaitingInput):
        operator(snapshot).execute({"task_instance": SimpleNamespace(id=uuid.uuid4())})  # type: ignore[arg-type]
    assert DIGEST in asked["body"]
    assert snapshot in asked["body"]
    assert "| overall challenger_rmse | 89.51 |" in asked["body"]
    assert "a\\|b" in asked["body"]
    assert ledger.read(WORKLOAD, snapshot, "approval") is None
    assert asked["defaults"] is None


def test_approved(snapshot: str) -> None:
    operator(snapshot).execute_complete({}, event("Approve"))  # type: ignore[typeddict-item]
    assert (recorded(snapshot)["outcome"], recorded(snapshot)["by"]["name"]) == ("approved", "ada")


def test_rejected(snapshot: str) -> None:
    operator(snapshot).execute_complete({}, event("Reject"))  # type: ignore[typeddict-item]
    assert (recorded(snapshot)["outcome"], recorded(snapshot)["digest"]) == ("rejected", DIGEST)


def test_nobody_answered(snapshot: str) -> None:
    with pytest.raises(HITLTimeoutError):
        operator(snapshot).execute_complete({}, {"error": "passed", "error_type": "timeout"})  # type: ignore[typeddict-item]
    assert recorded(snapshot)["outcome"] == "unanswered"


def test_nothing_to_approve(storage: object, connections: dict[str, Any]) -> None:
    with pytest.raises(NothingToDo, match="has no package"):
        operator("sha256:" + "9" * 64).execute({})  # type: ignore[typeddict-item]


def test_three_days_and_no_answer_by_default() -> None:
    made = operator("s")
    assert made.response_timeout == timedelta(hours=72)
    assert made.defaults is None
    assert made.fail_on_reject is False
    assert "snapshot" in made.template_fields
