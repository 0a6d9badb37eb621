"""Azure Machine Learning through its own SDK: training jobs, and the models that come of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeloop.exceptions import EdgeloopError, UnexpectedReply
from edgeloop.hooks.workspace import WorkspaceHook
from edgeloop.models import JobState, JobStatus, job_status
from include.settings import CLOUD

if TYPE_CHECKING:
    from azure.ai.ml.entities import Command, Model


STATUSES = {
    **dict.fromkeys(
        ("NotStarted", "Starting", "Provisioning", "Preparing", "Queued", "Running", "Finalizing", "CancelRequested", "NotResponding"),
        JobStatus.RUNNING,
    ),
    "Completed": JobStatus.SUCCEEDED,
    "Failed": JobStatus.FAILED,
    "Canceled": JobStatus.CANCELLED,
}
"""Azure ML's JobStatus in ours. (REST reference, 2025-01; `Paused` and `Unknown` are for people to look at)"""
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
"""What the job's environment is built upon."""
ASK_SECONDS = 30


@dataclass(frozen=True)
class DataInput:
    """Data of the lake's datastore that the job reads."""

    path: str
    """Path in the datastore: a folder or a file."""
    folder: bool = True


@dataclass(frozen=True)
class TrainingJob:
    """A command job: what to run, on which data, and where its outputs go."""

    command: str
    """With `${{inputs.<name>}}` and `${{outputs.<name>}}`."""
    code: Path
    """Folder that is uploaded, and in which the command starts."""
    requirements: tuple[str, ...]
    """Pinned pip requirements of its environment."""
    python: str
    """Version of Python, such as `3.11`."""
    inputs: Mapping[str, DataInput]
    outputs: Mapping[str, str]
    """Folders of the datastore; `{job}` stands for the job's name."""
    experiment: str
    display_name: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RegisteredModel:
    """A version of a model in the workspace's registry."""

    name: str
    version: str
    job: str


class MachineLearningHook(WorkspaceHook):
    """Jobs and models of the workspace that the cloud profile names. It keeps the protocol of `edgeloop.hooks.remote_job.RemoteJobs`.

    `job` is what `start` runs; asking and cancelling need none.
    """

    def __init__(self, cloud_conn_id: str = CLOUD, job: TrainingJob | None = None) -> None:
        super().__init__(cloud_conn_id)
        self.job = job

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What builds this hook in the triggerer."""
        return {"cloud_conn_id": self.cloud_conn_id}

    def find(self, job_id: str) -> JobState | None:
        """The job, or None when the workspace has no such job."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return self._state(job_id)
        except ResourceNotFoundError:
            return None

    def state(self, job_id: str) -> JobState:
        """The job; UnexpectedReply when the workspace lost it."""
        state = self.find(job_id)
        if state is None:
            raise UnexpectedReply(f"Azure ML has no job {job_id} any more: clear the task to start it again")
        return state

    def start(self, job_id: str) -> None:
        """Upload the code, make the environment, start the job; nothing, where the workspace has a job of that name."""
        from azure.core.exceptions import HttpResponseError

        if self.job is None:
            raise EdgeloopError(f"job {job_id} cannot be started: this hook was built to watch")
        asked = self._command(job_id, self.job)
        try:
            self.ask(lambda client: client.jobs.create_or_update(asked))
        except HttpResponseError as error:
            if error.status_code not in (400, 409) or self.find(job_id) is None:
                raise
            self.log.info("job %s was started by somebody else in the meantime", job_id)

    def cancel(self, job_id: str) -> None:
        """Ask the workspace to stop the job."""
        state = self.find(job_id)
        if state is None or state.status.over:
            return
        self.ask(lambda client: client.jobs.begin_cancel(job_id))

    def register(self, model: RegisteredModel, output: str, tags: Mapping[str, str]) -> None:
        """Register the job's output as that version; a version that is there stays."""
        from azure.ai.ml.entities import Model
        from azure.core.exceptions import ResourceNotFoundError

        try:
            self.ask(lambda client: client.models.get(model.name, model.version))
        except ResourceNotFoundError:
            path = f"azureml://jobs/{model.job}/outputs/{output}/paths/"
            asked = Model(name=model.name, version=model.version, path=path, type="custom_model", tags={**tags, "job": model.job})
            self.ask(lambda client: client.models.create_or_update(asked))

    def model(self, name: str, version: str) -> "Model":
        """A registered version, as the SDK gives it."""
        return self.ask(lambda client: client.models.get(name, version))

    def _state(self, job_id: str) -> JobState:
        job = self.ask(lambda client: client.jobs.get(job_id))
        said = getattr(job.status, "value", job.status)  # an enum of the SDK, or what the SDK does not know
        status = job_status(said, STATUSES, "Azure ML", job_id)
        studio = (job.services or {}).get("Studio")
        error = self._error(job_id) if status is JobStatus.FAILED else None
        return JobState(job_id, status, error, link=studio.endpoint if studio else None)

    def _error(self, job_id: str) -> str | None:
        """The reason of a failure: the run history has it, jobs have not."""
        import requests

        workspace = self.ask(lambda client: client.workspaces.get(self.profile.workspace_name))
        places = requests.get(workspace.discovery_url, verify=self.profile.verify, timeout=ASK_SECONDS)
        places.raise_for_status()
        headers = {"Authorization": f"Bearer {self.token(self.profile.arm_scope)}"}
        url = f"{places.json()['history']}/history/v1.0{workspace.id}/runs/{job_id}/details"
        found = requests.get(url, headers=headers, verify=self.profile.verify, timeout=ASK_SECONDS)
        found.raise_for_status()
        said = ((found.json().get("error") or {}).get("error") or {}).get("message")
        return str(said) if said else None

    def _command(self, job_id: str, job: TrainingJob) -> "Command":
        from azure.ai.ml import Input, Output, command
        from azure.ai.ml.entities import Environment

        lake = f"azureml://datastores/{self.profile.datastore}/paths/"
        conda = {"name": "training", "dependencies": [f"python={job.python}", "pip", {"pip": [*job.requirements]}]}
        return command(
            name=job_id,
            display_name=job.display_name,
            experiment_name=job.experiment,
            command=job.command,
            code=str(job.code),
            environment=Environment(image=IMAGE, conda_file=conda),
            compute=self.profile.compute,
            inputs={
                name: Input(type="uri_folder" if said.folder else "uri_file", path=lake + said.path) for name, said in job.inputs.items()
            },
            outputs={name: Output(type="uri_folder", path=f"{lake}{path.format(job=job_id)}/") for name, path in job.outputs.items()},
            environment_variables=dict(job.variables),
        )
