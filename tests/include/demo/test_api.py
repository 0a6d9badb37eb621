"""The demo's client of Airflow: it logs in by itself, outlives a restart of the api-server, and tells why a run failed."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from include.demo.api import AirflowApi, Run

RUN = {"dag_id": "w.ingest", "dag_run_id": "r", "state": "failed", "queued_at": "2026-01-01T00:00:00Z"}
TASK = {"task_id": "copy", "state": "failed", "map_index": 1, "try_number": 2}
LOG = [{"event": "starting"}, {"event": "Task failed", "error_detail": [{"exc_type": "NoFile", "exc_value": "no export", "frames": []}]}]
ANSWERS = {
    "/api/v2/dags/w.ingest/dagRuns/r": RUN,
    "/api/v2/dags/w.ingest/dagRuns/r/taskInstances": {"task_instances": [TASK, {**TASK, "task_id": "plan", "state": "success"}]},
    "/api/v2/dags/w.ingest/dagRuns/r/taskInstances/copy/logs/2": {"content": LOG},
}


class Answer(BaseHTTPRequestHandler):
    """Refuses who is not logged in, and answers 503 as often as it is told."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if self.server.unwell:  # type: ignore[attr-defined]
            self.server.unwell -= 1  # type: ignore[attr-defined]
            return self._say(503, {})
        if self.headers["Authorization"] != "Bearer t":
            return self._say(401, {})
        return self._say(200, ANSWERS[path]) if path in ANSWERS else self._say(404, {})

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token":
            return self._say(201, {"access_token": "t"})
        return self._trigger(said["dag_run_id"])

    def _trigger(self, name: str) -> None:
        """Starts the run, and dies before it answers."""
        path = f"/api/v2/dags/w.ingest/dagRuns/{name}"
        if path in ANSWERS:
            return self._say(409, {})
        ANSWERS[path] = {**RUN, "dag_run_id": name, "state": "running"}
        return self._say(503, {})

    def _say(self, status: int, what: object) -> None:
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    found = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    found.unwell = 0  # type: ignore[attr-defined]
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join(10)
    found.server_close()


@pytest.fixture
def api(server: ThreadingHTTPServer) -> AirflowApi:
    return AirflowApi(f"http://127.0.0.1:{server.server_port}", "admin", "secret")


def test_it_logs_in_and_outlives_a_restart(api, server):
    server.unwell = 2
    assert api.run(Run("w.ingest", "r", "queued", None, "")).state == "failed"


def test_a_failed_run_is_told_with_the_log_of_the_task_that_failed(api):
    told = api.failure(Run("w.ingest", "r", "failed", None, ""))
    assert told.splitlines() == ["w.ingest run r is failed", "--- copy [1], try 2", "starting", "Task failed", "NoFile: no export"]


def test_what_does_not_exist_is_an_error_at_once(api):
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        api.run(Run("w.ingest", "other", "queued", None, ""))


def test_a_trigger_whose_answer_was_lost_starts_one_run(api):
    before = len(ANSWERS)
    assert api.trigger("w.ingest").state == "running"
    assert len(ANSWERS) == before + 1
