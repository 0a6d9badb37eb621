"""Waits for a remote job in the triggerer: no slot is taken while it runs."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from airflow.sdk.module_loading import import_string
from airflow.triggers.base import BaseTrigger, TriggerEvent

from edgeloop.hooks.remote_job import RemoteJobs, Watch
from edgeloop.models import JobState, JobStatus


class RemoteJobTrigger(BaseTrigger):
    """Polls one job and gives one event: how it ended.

    `hook` is the class path of a RemoteJobs, `arguments` what builds it. `deadline` (seconds since the epoch) is the task's execution
    timeout, which Airflow does not watch while a task is deferred: past it the job is cancelled and the event says TIMED_OUT.
    """

    def __init__(self, *, hook: str, arguments: Mapping[str, Any], job_id: str, deadline: float | None, poll_interval: float) -> None:
        super().__init__()
        self.hook = hook
        self.arguments = dict(arguments)
        self.job_id = job_id
        self.deadline = deadline
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and keyword arguments: everything that another triggerer needs to go on."""
        return (
            "edgeloop.triggers.remote_job.RemoteJobTrigger",
            {
                "hook": self.hook,
                "arguments": self.arguments,
                "job_id": self.job_id,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
            },
        )

    def jobs(self) -> RemoteJobs:
        """The service's jobs, built anew."""
        return import_string(self.hook)(**self.arguments)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event when the job is over, when it passed its deadline, or when it cannot be watched any more."""
        try:
            state = await self._end()
        except Exception as error:
            self.log.exception("job %s cannot be watched", self.job_id)
            yield TriggerEvent({"job_id": self.job_id, "status": None, "error": f"{type(error).__name__}: {error}"})
        else:
            yield TriggerEvent(state.event())

    async def _end(self) -> JobState:
        watch = Watch(self.jobs(), self.job_id, self.poll_interval)
        while True:
            state = await asyncio.to_thread(watch.ask)
            if state and state.status.over:
                return state
            if self.deadline is not None and time.time() >= self.deadline:
                await asyncio.to_thread(watch.jobs.cancel, self.job_id)
                return replace(state or JobState(self.job_id, JobStatus.RUNNING), status=JobStatus.TIMED_OUT)
            await asyncio.sleep(self._pause(watch.pause))

    def _pause(self, pause: float) -> float:
        return pause if self.deadline is None else max(0.0, min(pause, self.deadline - time.time()))

    async def on_kill(self) -> None:
        """A person ended the task: cancel the job. (`cleanup` must not: it also runs when the triggerer restarts.)"""
        await asyncio.to_thread(self.jobs().cancel, self.job_id)
        self.log.warning("the task was ended by hand: asked the service to cancel job %s", self.job_id)
