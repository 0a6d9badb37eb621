"""Runs jobs: a few at once, each through Preparing, Running and Finalizing.

After a crash every step is done again, but the command itself: it runs once, under its keeper.
"""

import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from azure.core.exceptions import AzureError

from include.standin.machine_learning import keeper
from include.standin.machine_learning.datastore import Datastore, JobLog
from include.standin.machine_learning.exceptions import JobFailed, MachineLearningError
from include.standin.machine_learning.job import Job, Jobs
from include.standin.machine_learning.models import Document
from include.standin.machine_learning.plan import Planner

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Jobs that run at the same time; more are Queued, as on a compute cluster of that many nodes."""
WATCH_SECONDS = 0.2
LOG_SECONDS = 1.0
"""How often a running job's log is sent on."""
START_SECONDS = 30
STORAGE_TRIES = 10
PAUSE_SECONDS = 2.0
TAIL_BYTES = 2000
"""How much of the log an error quotes."""


class Runner:
    """Carries out the jobs on disk. `stop` leaves commands running; the next `start` finds them again."""

    def __init__(self, jobs: Jobs, planner: Planner, datastore: Datastore) -> None:
        self._jobs = jobs
        self._planner = planner
        self._datastore = datastore
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        """Take up every job that is not over, those whose command was started first."""
        self._stopping.clear()
        unfinished = [job for job in self._jobs.all() if not job.state.over]
        for job in sorted(unfinished, key=lambda job: (not job.kept, job.state.queued_at)):
            self._waiting.put(job)
        self._threads = [threading.Thread(target=self._work, name=f"job-{n}", daemon=True) for n in range(AT_ONCE)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop looking after jobs."""
        self._stopping.set()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(timeout=10)

    def submit(self, job: Job) -> None:
        """Run the job as soon as there is room."""
        self._waiting.put(job)

    def cancel(self, job: Job) -> None:
        """End the job: at once where it waits, else as soon as its processes are gone. A job that is over stays as it is."""
        with self._lock:
            state = job.state
            if state.over:
                return
            waits = state.status == "Queued"
            job.request_cancel()
            if waits:
                job.become("Canceled")
        if pid := job.keeper:
            _terminate(pid)

    def _work(self) -> None:
        while not self._stopping.is_set():
            job = self._waiting.get()
            if job is None:
                return
            try:
                self._carry_out(job)
            except Exception:
                log.exception("job %s: its state cannot be written", job.name)

    def _carry_out(self, job: Job) -> None:
        try:
            self._steps(job)
        except (JobFailed, MachineLearningError) as error:
            self._end(job, {"code": "UserError", "message": str(error)})
        except Exception as error:
            log.exception("job %s", job.name)
            self._end(job, {"code": "SystemError", "message": f"{type(error).__name__}: {error}"})

    def _steps(self, job: Job) -> None:
        with self._lock:
            if job.state.over:
                return
            if not job.kept:
                job.become("Preparing")
        if not job.kept:
            self._planner.prepare(job)
        if job.cancel_requested and not job.kept:
            return self._end(job, None)
        job_log = self._datastore.log(job.name)
        if not job.kept:
            (job.folder / "std_log.txt").touch()
            _follow(job, job_log)  # there must be a blob before somebody is told its URL
            self._launch(job)
        job.become("Running")
        if self._watch(job, job_log):
            self._finish(job, job_log)
        return None

    def _launch(self, job: Job) -> None:
        plan = json.loads((job.folder / "plan.json").read_text(encoding="utf-8"))
        with (job.folder / "keeper.log").open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-I", keeper.__file__, str(job.folder)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=plan["env"],
                start_new_session=True,
            )
        threading.Thread(target=process.wait, name=f"reap-{job.name}", daemon=True).start()
        for _ in range(START_SECONDS * 20):  # until it has its lock, or ended at once
            if job.kept or process.poll() is not None or self._stopping.wait(0.05):
                return
        process.kill()
        raise JobFailed(f"the process that keeps the job did not start within {START_SECONDS} s: the machine is overloaded")

    def _watch(self, job: Job, job_log: JobLog) -> bool:
        """Send the log on until the command is over; False when this program stops before. A cancel from before a restart is repeated."""
        if job.cancel_requested and (pid := job.keeper):
            _terminate(pid)
        since = LOG_SECONDS
        while job.keeper is not None:
            if since >= LOG_SECONDS:
                _follow(job, job_log)
                since = 0.0
            if self._stopping.wait(WATCH_SECONDS):
                return False
            since += WATCH_SECONDS
        return True

    def _finish(self, job: Job, job_log: JobLog) -> None:
        if not self._patiently(lambda: _follow(job, job_log)):
            log.error("the end of the log of job %s is lost: the storage does not answer", job.name)
        code = job.exit_code
        if job.cancel_requested:
            return self._end(job, None)
        if code is None:
            job.end_processes()
            raise JobFailed("the process that kept the job is gone (killed from outside, or the machine was restarted): submit it again")
        if code:
            raise JobFailed(_message(code, _tail(job.folder / "std_log.txt")))
        job.become("Finalizing")
        if self._patiently(lambda: self._upload(job)):
            return self._end(job, None)
        if self._stopping.is_set():
            return None  # the next start goes on here
        raise JobFailed("the outputs cannot be uploaded: the storage does not answer")

    def _upload(self, job: Job) -> bool:
        try:
            for name, said in (job.properties.get("outputs") or {}).items():
                self._datastore.upload_folder(job.folder / "out" / name, said["uri"])
        except AzureError as error:
            log.warning("the outputs of job %s could not be uploaded: %s", job.name, error)
            return False
        return True

    def _patiently(self, what: Callable[[], bool]) -> bool:
        """Try a few times: a storage that is starting too is no reason to lose what a job has made."""
        for _ in range(STORAGE_TRIES):
            if what():
                return True
            if self._stopping.wait(PAUSE_SECONDS):
                break
        return False

    def _end(self, job: Job, error: Document | None) -> None:
        with self._lock:
            status = "Canceled" if job.cancel_requested else "Failed" if error else "Completed"
            job.become(status, error if status == "Failed" else None)
        for name in ("code", "in", "out"):
            shutil.rmtree(job.folder / name, ignore_errors=True)


def _terminate(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        log.info("keeper %d has just ended", pid)


def _follow(job: Job, job_log: JobLog) -> bool:
    try:
        job_log.follow(job.folder / "std_log.txt")
    except AzureError as error:
        log.warning("the log of job %s could not be sent on: %s", job.name, error)
        return False
    return True


def _tail(file: Path) -> str:
    with file.open("rb") as log_file:
        log_file.seek(max(0, file.stat().st_size - TAIL_BYTES))
        return log_file.read().decode(errors="replace").strip()


def _message(code: int, tail: str) -> str:
    """In the service's words."""
    how = f"exited with status code {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"
    return (
        f"Execution failed. User process '/bin/bash' {how}. Please check log file 'user_logs/std_log.txt' for error details. Error: {tail}"
    )
