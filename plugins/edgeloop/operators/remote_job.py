"""The base of every operator that runs a job elsewhere: resumable, idempotent, cancellable."""

import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NoReturn

from airflow.sdk import BaseOperator, BaseOperatorLink, Context, conf
from airflow.sdk.exceptions import AirflowTaskTimeout

from edgeloop.exceptions import RemoteJobCancelled, RemoteJobFailed, RemoteJobTimedOut
from edgeloop.hooks.remote_job import RemoteJobs, Watch
from edgeloop.models import JobState, JobStatus
from edgeloop.triggers.remote_job import RemoteJobTrigger

MOST_ATTEMPTS = 100
"""Attempts of the same job with the same inputs; more are a mistake in the job, not bad luck."""


class RemoteJobLink(BaseOperatorLink):
    """The button that leads to the job at its service."""

    name = "Remote job"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """What the operator learned of the job's address; empty when it did not come so far."""
        return getattr(operator, "link", None) or ""


class RemoteJobOperator(BaseOperator):
    """Starts a job, or finds the one that an earlier try started, waits for it and gives its results.

    The job id is `<base_id>-<attempt>`. It is recorded in the task state store before the launch, so that a try after a crash finds
    the job, running or finished, and does not start a second one. An attempt that failed or was cancelled is followed by the next.
    Killing the task cancels the job, and so does `execution_timeout`, also while the task is deferred.

    Whether it waits in the triggerer or where it runs, Airflow's `[operators] default_deferrable` says; `deferrable` overrides it.

    Set `retries` to 2 or more: when a deferred task is cleared, its next try may attach to the job just before the old trigger cancels
    it, and only the try after that starts the job again.
    """

    operator_extra_links = (RemoteJobLink(),)
    template_fields: Sequence[str] = ()
    repeats_when_cleared = False
    """Whether clearing the finished task runs the job again, because the same inputs may give something new."""

    def __init__(self, *, deferrable: bool | None = None, poll_interval: float = 5.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = conf.getboolean("operators", "default_deferrable") if deferrable is None else deferrable
        self.poll_interval = poll_interval
        self.link: str | None = None
        self._job_id: str | None = None
        self._store: Any = None
        self._try_number = 0

    @abstractmethod
    def base_id(self, context: Context) -> str:
        """The job's id without the attempt: the same inputs give the same id."""

    @property
    @abstractmethod
    def hook(self) -> RemoteJobs:
        """The service's jobs; knows all that `start` needs."""

    @abstractmethod
    def result(self, context: Context, job_id: str) -> dict[str, Any]:
        """Ids and URIs of what the finished job left, for XCom: never data."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the job to its end; gives `result`."""
        state = self._launch(context)
        self.link = state.link
        if state.status.over:
            return self.resume(context, state.event())
        if self.deferrable:
            self._defer(state)
        return self.resume(context, self._wait(state).event())

    def resume(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read the end of the job and give its results, or raise what went wrong."""
        state = JobState.read_event(event)
        self._job_id = None  # over: there is nothing left to cancel
        self.link = state.link
        if state.status is not JobStatus.SUCCEEDED:
            self._raise(state)
        self.log.info("job %s succeeded", state.job_id)
        found = self.result(context, state.job_id)
        context["task_state_store"].set("done", state.job_id)
        return found

    def on_kill(self) -> None:
        """Cancel the job, unless a later try has taken it over."""
        job_id, self._job_id = self._job_id, None
        if job_id is None:
            return
        if not self._is_owner():
            self.log.warning("job %s belongs to a later try by now: it is left alone", job_id)
            return
        self._cancel(job_id, "the task was killed")

    def _launch(self, context: Context) -> JobState:
        store = context["task_state_store"]
        base, attempt = self.base_id(context), int(store.get("attempt", 0))
        # A try after a crash and one after somebody cleared the task look alike; only the latter moves the run's clear number.
        cleared = context["dag_run"].clear_number or 0
        if self.repeats_when_cleared and store.get("done") == f"{base}-{attempt}" and cleared != store.get("cleared", 0):
            attempt += 1
        attempt, state = self._attempt(base, attempt)
        job_id = f"{base}-{attempt}"
        self._try_number = context["ti"].try_number
        store.set("attempt", attempt)
        store.set("cleared", cleared)
        store.set("job_id", job_id)
        store.set("owner", self._try_number)
        self._store, self._job_id = store, job_id
        if state:
            self.log.info("found job %s, %s", job_id, state.status)
            return state
        self.log.info("starting job %s", job_id)
        self.hook.start(job_id)
        return self.hook.state(job_id)

    def _attempt(self, base: str, attempt: int) -> tuple[int, JobState | None]:
        """The first attempt from here on that did not fail: its number, and its state if it is there already."""
        for number in range(attempt, MOST_ATTEMPTS):
            state = self.hook.find(f"{base}-{number}")
            if state is None or not state.status.repeatable:
                return number, state
            self.log.info("attempt %s is %s: taking the next", state.job_id, state.status)
        raise RemoteJobFailed(f"job {base} failed {MOST_ATTEMPTS} times with the same inputs: mend the inputs or the job, then run it anew")

    def _defer(self, state: JobState) -> NoReturn:
        limit = self.execution_timeout
        self.defer(
            trigger=RemoteJobTrigger(
                hook=f"{type(self.hook).__module__}.{type(self.hook).__qualname__}",
                arguments=self.hook.arguments,
                job_id=state.job_id,
                deadline=time.time() + limit.total_seconds() if limit else None,
                poll_interval=self.poll_interval,
            ),
            method_name="resume",
        )
        raise AssertionError("defer returned")

    def _wait(self, state: JobState) -> JobState:
        watch = Watch(self.hook, state.job_id, self.poll_interval)
        latest: JobState | None = state
        try:
            while latest is None or not latest.status.over:
                time.sleep(watch.pause)
                latest = watch.ask()
        except AirflowTaskTimeout as timeout:
            self._cancel(state.job_id, "the task passed its execution timeout")
            self._job_id = None
            raise RemoteJobTimedOut(self._timed_out(state)) from timeout
        return latest

    def _is_owner(self) -> bool:
        try:
            return int(self._store.get("owner", self._try_number)) == self._try_number
        except Exception as error:  # the store refuses a try that is over; then nobody else has the job yet
            self.log.warning("the task state store does not say whose the job is: %s", error)
            return True

    def _cancel(self, job_id: str, why: str) -> None:
        try:
            self.hook.cancel(job_id)
        except Exception as error:
            self.log.error("%s, but job %s could not be cancelled and goes on: cancel it at the service. %s", why, job_id, error)
        else:
            self.log.warning("%s: asked the service to cancel job %s", why, job_id)

    def _timed_out(self, state: JobState) -> str:
        limit = self.execution_timeout
        return f"job {state.job_id} ran longer than the task's execution timeout ({limit}) and was cancelled: allow it more"

    def _raise(self, state: JobState) -> NoReturn:
        where = f" See {state.link}" if state.link else ""
        said = state.error or "the service gives no reason"
        if state.status is JobStatus.TIMED_OUT:
            raise RemoteJobTimedOut(self._timed_out(state) + where)
        if state.status is JobStatus.CANCELLED:
            raise RemoteJobCancelled(f"job {state.job_id} was cancelled ({said}); a retry of this task starts it again.{where}")
        raise RemoteJobFailed(f"job {state.job_id} failed: {said}. Mend the cause, then clear this task: it starts a new attempt.{where}")
