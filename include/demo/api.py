"""Airflow's REST API, as far as the demo drives and watches it."""

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

FINISHED = ("success", "failed")
PATIENCE = (0.5, 1, 2, 4, *(8,) * 20)
"""Seconds between the tries of a call: an api-server that was killed is back in less than their sum."""


@dataclass(frozen=True)
class Run:
    """One DAG run."""

    dag: str
    id: str
    state: str
    partition_key: str | None
    queued_at: str

    @property
    def finished(self) -> bool:
        """Whether it ended, well or not."""
        return self.state in FINISHED


class RunFailed(Exception):
    """A DAG run failed; the message holds the failing task's log."""


class AirflowApi:
    """A logged-in client. `url`: of the api-server."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._login = {"username": user, "password": password}
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        """A call that outlives a restart of the api-server."""
        for patience in PATIENCE:
            try:
                reply = self._http.request(method, f"/api/v2{path}", **arguments)
                if reply.status_code == 401:
                    self._log_in()
                    continue
                if reply.status_code < 500:
                    reply.raise_for_status()
                    return reply.json()
            except httpx.TransportError:
                pass
            time.sleep(patience)
        raise ConnectionError(f"Airflow at {self.url} does not answer {method} {path}: see the log of its api-server")

    def _log_in(self) -> None:
        token = self._http.post("/auth/token", json=self._login).raise_for_status().json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def dags(self) -> set[str]:
        """Ids of the DAGs that are listed and not paused."""
        return {dag["dag_id"] for dag in self._call("GET", "/dags", params={"limit": 100})["dags"] if not dag["is_paused"]}

    def import_errors(self) -> list[str]:
        """What kept DAG files from being read."""
        return [f"{e['filename']}: {e['stack_trace']}" for e in self._call("GET", "/importErrors")["import_errors"]]

    def trigger(self, dag: str, conf: dict[str, Any] | None = None) -> Run:
        """Start a run by hand. Its id is chosen here, so that a call whose answer was lost is not made twice."""
        name = f"demo__{datetime.now(UTC).isoformat()}__{secrets.token_hex(4)}"
        asked = {"dag_run_id": name, "logical_date": None, "conf": conf or {}}
        try:
            return _run(self._call("POST", f"/dags/{dag}/dagRuns", json=asked))
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 409:
                raise
        return _run(self._call("GET", f"/dags/{dag}/dagRuns/{name}"))

    def run(self, run: Run) -> Run:
        """The run as it is now."""
        return _run(self._call("GET", f"/dags/{run.dag}/dagRuns/{run.id}"))

    def runs(self, dag: str = "~", since: datetime | None = None) -> list[Run]:
        """Runs of a DAG (`~`: of all), oldest first."""
        params: dict[str, Any] = {"limit": 100, "order_by": "run_after"}
        if since is not None:
            params["run_after_gte"] = since.isoformat()
        return [_run(raw) for raw in self._call("GET", f"/dags/{dag}/dagRuns", params=params)["dag_runs"]]

    def tasks(self, run: Run) -> list[dict[str, Any]]:
        """Task instances of a run."""
        return list(self._call("GET", f"/dags/{run.dag}/dagRuns/{run.id}/taskInstances", params={"limit": 200})["task_instances"])

    def result(self, run: Run, task: str) -> Any:
        """What a task returned."""
        found = self._call(
            "GET", f"/dags/{run.dag}/dagRuns/{run.id}/taskInstances/{task}/xcomEntries/return_value", params={"stringify": False}
        )
        return found["value"]

    def failure(self, run: Run) -> str:
        """The failing tasks of a run, with the end of their logs."""
        told = [f"{run.dag} run {run.id} is {run.state}"]
        for task in self.tasks(run):
            if task["state"] == "failed":
                told.append(f"--- {task['task_id']} [{task['map_index']}], try {task['try_number']}\n{self._log(run, task)}")
        return "\n".join(told)

    def _log(self, run: Run, task: dict[str, Any]) -> str:
        path = f"/dags/{run.dag}/dagRuns/{run.id}/taskInstances/{task['task_id']}/logs/{max(task['try_number'], 1)}"
        content = self._call("GET", path, params={"map_index": task["map_index"], "full_content": True})["content"]
        lines = [str(entry.get("event", "")) if isinstance(entry, dict) else str(entry) for entry in content]
        details = [detail for entry in content if isinstance(entry, dict) for detail in entry.get("error_detail") or ()]
        lines += [f"{detail.get('exc_type')}: {detail.get('exc_value')}" for detail in details]
        return "\n".join(lines[-60:])


def _run(raw: dict[str, Any]) -> Run:
    return Run(
        raw["dag_id"], raw["dag_run_id"], raw["state"], raw.get("partition_key"), raw.get("queued_at") or datetime.now(UTC).isoformat()
    )
