"""Jobs on disk: what was asked for, how far it is, and whether its process lives."""

import contextlib
import fcntl
import os
import re
import signal
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from include.standin.machine_learning.exceptions import Conflict, NotFound
from include.standin.machine_learning.models import Document, checked, now, read, write

JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
OVER = ("Completed", "Failed", "Canceled")


@dataclass(frozen=True)
class JobState:
    """How far a job is."""

    status: str
    queued_at: str
    started_at: str | None = None
    ended_at: str | None = None
    error: Document | None = None
    """`code` and `message` of a job that failed."""

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in OVER


@dataclass(frozen=True)
class Job:
    """A job: a folder with what was asked for, how far it is, and the files of its process (see `keeper`)."""

    folder: Path

    @property
    def name(self) -> str:
        """The job's name: the id of its run."""
        return self.folder.name

    @property
    def document(self) -> Document:
        """The job as it was asked for."""
        return read(self.folder / "job.json") or {}

    @property
    def properties(self) -> Document:
        """The part that says what to run."""
        return dict(self.document["properties"])

    @property
    def state(self) -> JobState:
        """How far it is. A job that shall be cancelled says so until it ends."""
        state = JobState(**(read(self.folder / "state.json") or {"status": "NotStarted", "queued_at": now()}))
        return replace(state, status="CancelRequested") if self.cancel_requested and not state.over else state

    def become(self, status: str, error: Document | None = None) -> None:
        """Take the next status."""
        state = replace(self.state, status=status, error=error)
        if status == "Preparing" and not state.started_at:
            state = replace(state, started_at=now())
        if state.over:
            state = replace(state, ended_at=now())
        write(self.folder / "state.json", asdict(state))

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody asked to cancel it."""
        return (self.folder / "cancel").exists()

    def request_cancel(self) -> None:
        """Remember that somebody asked to cancel it."""
        (self.folder / "cancel").touch()

    @property
    def kept(self) -> bool:
        """Whether its command was started, ever."""
        return (self.folder / "keeper.json").exists()

    @property
    def keeper(self) -> int | None:
        """Process id of its keeper, while that lives: the keeper holds a lock."""
        said = read(self.folder / "keeper.json")
        if not said:
            return None
        with (self.folder / "keeper.lock").open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(said["pid"])
        return None

    def end_processes(self) -> None:
        """Kill what a keeper that was killed left of its command: whatever carries the job's name in its environment."""
        mark = f"AZUREML_RUN_ID={self.name}".encode()
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):  # gone, or another user's
                if mark in environment.read_bytes().split(b"\0"):
                    os.kill(int(environment.parent.name), signal.SIGKILL)

    @property
    def exit_code(self) -> int | None:
        """How its command ended, or None while it has not."""
        said = read(self.folder / "exit.json")
        return int(said["code"]) if said else None


class Jobs:
    """All jobs, on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> Job:
        """One job."""
        job = Job(self._folder / checked(JOB_NAME, name))
        if not (job.folder / "state.json").exists():
            raise NotFound(f"there is no job {name} in this workspace")
        return job

    def all(self) -> list[Job]:
        """Every job, the newest first."""
        found = [Job(path.parent) for path in self._folder.glob("*/state.json")]
        return sorted(found, key=lambda job: job.state.queued_at, reverse=True)

    def create(self, name: str, document: Document) -> tuple[Job, bool]:
        """The job, and whether it is new. The name of another job is refused."""
        job = Job(self._folder / checked(JOB_NAME, name))
        if (job.folder / "state.json").exists():
            if job.document != document:
                raise Conflict(
                    "A job with this name already exists. If you are trying to create a new job, use a different name. "
                    f"If you are trying to update the existing job {name}, what it runs cannot be changed."
                )
            return job, False
        write(job.folder / "job.json", document)
        write(job.folder / "state.json", asdict(JobState("Queued", now())))
        return job, True
