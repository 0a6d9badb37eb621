"""Runs of a Data Factory pipeline as remote jobs: found again by a key among their parameters."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from edgeloop.exceptions import UnexpectedReply
from edgeloop.hooks.data_factory import DataFactoryHook
from edgeloop.models import JobState, JobStatus, job_status
from include.settings import CLOUD

KEY = "runKey"
"""Parameter of every pipeline: the job id. createRun takes no id of ours."""
STATUSES = {
    "Queued": JobStatus.RUNNING,
    "InProgress": JobStatus.RUNNING,
    "Canceling": JobStatus.RUNNING,
    "Cancelling": JobStatus.RUNNING,
    "Succeeded": JobStatus.SUCCEEDED,
    "Failed": JobStatus.FAILED,
    "Cancelled": JobStatus.CANCELLED,
}


class PipelineRuns:
    """Runs of one pipeline with given parameters, as jobs whose id is the parameter `runKey`.

    Between the query that finds nothing and createRun another process may start the same job; pipelines replace what they wrote before,
    so that a second run does no harm, and the newest is the one that counts.
    """

    def __init__(
        self,
        pipeline: str,
        parameters: Mapping[str, Any],
        workload: str | None = None,
        cloud_conn_id: str = CLOUD,
        run_ids: Mapping[str, str] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.parameters = dict(parameters)
        self.workload = workload
        self.cloud_conn_id = cloud_conn_id
        self.run_ids = dict(run_ids or {})

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What builds the same object elsewhere; the service's run ids that are known travel along."""
        return {
            "pipeline": self.pipeline,
            "parameters": self.parameters,
            "workload": self.workload,
            "cloud_conn_id": self.cloud_conn_id,
            "run_ids": self.run_ids,
        }

    @cached_property
    def hook(self) -> DataFactoryHook:
        """The factory."""
        return DataFactoryHook(self.cloud_conn_id)

    def find(self, job_id: str) -> JobState | None:
        """The newest run with this key, or None."""
        for run in self.hook.runs(self.pipeline):
            if (run.parameters or {}).get(KEY) == job_id:
                self.run_ids[job_id] = run.run_id
                return self._state(job_id, run)
        return None

    def start(self, job_id: str) -> None:
        """Deploy the workload's definitions and start a run with this key, unless there is one."""
        if self.find(job_id) is None:
            if self.workload:
                self.hook.deploy(self.workload)
            self.run_ids[job_id] = self.hook.start(self.pipeline, {**self.parameters, KEY: job_id})

    def state(self, job_id: str) -> JobState:
        """How the run stands."""
        return self._state(job_id, self.hook.run(self.run_id(job_id)))

    def cancel(self, job_id: str) -> None:
        """Stop the run; one that is over, or was never started, is no error."""
        if job_id in self.run_ids or self.find(job_id):
            self.hook.cancel(self.run_ids[job_id])

    def run_id(self, job_id: str) -> str:
        """The service's id of the job; UnexpectedReply when the factory does not know it."""
        if job_id not in self.run_ids and self.find(job_id) is None:
            raise UnexpectedReply(
                f"Data Factory {self.hook.cloud.profile.factory_name} has no run of pipeline {self.pipeline} with {KEY} {job_id}: "
                "look at its monitor, then clear the task"
            )
        return self.run_ids[job_id]

    def _state(self, job_id: str, run: Any) -> JobState:
        status = job_status(run.status, STATUSES, "Data Factory", job_id)
        return JobState(job_id, status, run.message or None, run.run_id, self.hook.link(run.run_id))
