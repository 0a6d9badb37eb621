"""A factory's runs. All of them are on disk: a factory that is killed goes on where it was."""

import asyncio
import json
import os
import threading
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.standin.data_factory import exceptions

OVER = frozenset({"Succeeded", "Failed", "Cancelled"})
RECENT_RUNS = 200
"""Finished runs whose activity runs are kept; Data Factory keeps all for 45 days."""


def now() -> str:
    """The time as Data Factory writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@dataclass
class ActivityRun:
    """One activity of a run, or one round of a ForEach."""

    name: str
    kind: str
    pipeline: str
    run_id: str
    activity_run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "InProgress"
    start: str = field(default_factory=now)
    end: str | None = None
    input: Any = None
    output: Any = field(default_factory=dict)
    error: dict[str, Any] | None = None

    def end_with(self, status: str, error: dict[str, Any] | None = None) -> None:
        """It is over."""
        self.status, self.error, self.end = status, error, now()

    def as_json(self) -> dict[str, Any]:
        """As queryActivityruns gives it."""
        nothing = {"errorCode": "", "message": "", "failureType": "", "target": self.name, "details": ""}
        return {
            "activityName": self.name,
            "activityType": self.kind,
            "activityRunId": self.activity_run_id,
            "pipelineName": self.pipeline,
            "pipelineRunId": self.run_id,
            "status": self.status,
            "activityRunStart": self.start,
            "activityRunEnd": self.end,
            "input": self.input,
            "output": self.output,
            "error": self.error or nothing,
        }


@dataclass
class Run:
    """One run of a pipeline."""

    factory: str
    pipeline: str
    parameters: dict[str, Any]
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "Queued"
    message: str = ""
    start: str = field(default_factory=now)
    end: str | None = None
    updated: str = field(default_factory=now)
    activities: list[ActivityRun] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in OVER

    def as_json(self) -> dict[str, Any]:
        """As the service gives it."""
        return {
            "runId": self.run_id,
            "runGroupId": self.run_id,
            "isLatest": True,
            "pipelineName": self.pipeline,
            "parameters": {name: value if isinstance(value, str) else json.dumps(value) for name, value in self.parameters.items()},
            "invokedBy": {"id": "edgeloop", "name": "Manual", "invokedByType": "Manual"},
            "runStart": self.start,
            "runEnd": self.end,
            "lastUpdated": self.updated,
            "durationInMs": self.milliseconds if self.end else None,
            "status": self.status,
            "message": self.message,
        }

    @property
    def milliseconds(self) -> int:
        """How long it took so far."""
        until = datetime.fromisoformat(self.end) if self.end else datetime.now(UTC)
        return int((until - datetime.fromisoformat(self.start)).total_seconds() * 1000)


def write_json(file: Path, content: Any) -> None:
    """Replace the file as a whole: a kill leaves the old one or the new one."""
    draft = file.with_name(f".{file.name}.{threading.get_ident()}")
    draft.write_text(json.dumps(content), encoding="utf-8")
    os.replace(draft, file)


class Runs:
    """Every run, and the way to wake whoever executes one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.running: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = {}
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {run.run_id: run for run in self._load()}

    def _load(self) -> Iterator[Run]:
        for file in sorted(self.folder.glob("[!.]*.json")):
            said = json.loads(file.read_text(encoding="utf-8"))
            yield Run(**{**said, "activities": [ActivityRun(**activity) for activity in said["activities"]]})

    def add(self, run: Run) -> None:
        """A new run, on disk before anybody hears of it."""
        self.save(run)
        with self._lock:
            self._runs[run.run_id] = run
            over = sorted((run for run in self._runs.values() if run.over), key=lambda run: run.updated)
        for old in over[:-RECENT_RUNS]:
            if old.activities:
                old.activities = []
                self._write(old)

    def save(self, run: Run) -> None:
        """Write the run's state."""
        run.updated = now()
        self._write(run)

    def _write(self, run: Run) -> None:
        write_json(self.folder / f"{run.run_id}.json", asdict(run))

    def begin(self, run: Run, task: asyncio.Task[None]) -> None:
        """The task executes the run from now on; asyncio.CancelledError when somebody cancelled it while it was queued."""
        with self._lock:
            if run.status == "Canceling":
                raise asyncio.CancelledError
            self.running[run.run_id] = (task.get_loop(), task)
            run.status, run.activities = "InProgress", []
            self.save(run)

    def end(self, run: Run, status: str, message: str = "") -> None:
        """The run is over."""
        with self._lock:
            self.running.pop(run.run_id, None)
            run.status, run.message, run.end = status, message, now()
            self.save(run)

    def interrupt(self) -> None:
        """Stop executing; what was running is taken up by the next start."""
        with self._lock:
            for loop, task in self.running.values():
                loop.call_soon_threadsafe(task.cancel)

    def get(self, factory: str, run_id: str) -> Run:
        """The run; Refusal 404 when there is none."""
        run = self._runs.get(run_id)
        if run is None or run.factory != factory:
            raise exceptions.run_not_found(run_id)
        return run

    def of(self, factory: str) -> Iterable[Run]:
        """The factory's runs, newest first."""
        return sorted((run for run in [*self._runs.values()] if run.factory == factory), key=lambda run: run.start, reverse=True)

    def unfinished(self) -> list[Run]:
        """What a factory that starts has to take up."""
        return [run for run in self._runs.values() if not run.over]

    def cancel(self, run: Run) -> None:
        """Stop the run, really: whatever it does is interrupted."""
        with self._lock:
            if run.over:
                return
            run.status = "Canceling"
            self.save(run)
            found = self.running.get(run.run_id)
            if found:
                found[0].call_soon_threadsafe(found[1].cancel)
