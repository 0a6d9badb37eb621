"""Trains a model: one Azure ML job for the same data, code and parameters, whoever asks and however often."""

import hashlib
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from edgeloop import ledger
from edgeloop.hooks.lake import LakeHook
from edgeloop.hooks.machine_learning import DataInput, MachineLearningHook, TrainingJob
from edgeloop.operators.remote_job import RemoteJobLink, RemoteJobOperator
from edgeloop.training_code import TrainingCode
from include.domain import naming
from include.domain.snapshot import Snapshot
from include.domain.windows import Window
from include.settings import CLOUD

OUTPUT = "model"
"""Name of the job's one output."""
PYTHON = "3.11"
VARIABLES = {"ORT_DISABLE_TELEMETRY": "1"}


class StudioLink(RemoteJobLink):
    """The button that leads to the job in Azure ML studio."""

    name = "Azure ML studio"


class RunTrainingJobOperator(RemoteJobOperator):
    """Runs `include.training` in Azure ML on a snapshot.

    `snapshot` (templated) is what `stages.train.snapshot` gave: `{"snapshot", "manifest", "window", ...}`. Gives
    `{"job", "snapshot", "window", "outputs"}`: ids, and the folder of the lake that holds the model.
    """

    template_fields: Sequence[str] = ("snapshot",)
    operator_extra_links = (StudioLink(),)

    def __init__(self, *, workload: str, snapshot: dict[str, Any], cloud_conn_id: str = CLOUD, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workload = workload
        self.snapshot = snapshot
        self.cloud_conn_id = cloud_conn_id
        self._job: TrainingJob | None = None

    @cached_property
    def code(self) -> TrainingCode:
        """The files that are uploaded."""
        return TrainingCode.of(self.workload)

    @property
    def digest(self) -> str:
        """Name of the data."""
        return str(self.snapshot["snapshot"])

    @property
    def window(self) -> str:
        """The days that the model learns from."""
        return str(Window.parse(self.snapshot["window"]))

    def base_id(self, context: Context) -> str:
        """Name of the job, from the snapshot, the code and the command."""
        key = hashlib.sha256("\n".join((self.digest, self.code.digest, self.command, PYTHON)).encode()).hexdigest()
        return f"{naming.dns_name(self.workload)}-{key[:20]}"

    @cached_property
    def inputs(self) -> dict[str, DataInput]:
        """The data of the snapshot. Without answers of people there is no folder that a job could be given for them."""
        found = {"validated": DataInput(f"{self.workload}/validated")}
        manifest = str(self.snapshot["manifest"])
        prefix = f"{self.workload}/feedback/"
        if any(part.blob.startswith(prefix) for part in Snapshot.from_json(LakeHook().read(manifest).decode()).parts):
            found["feedback"] = DataInput(prefix.rstrip("/"))
        return {**found, "manifest": DataInput(manifest, folder=False)}

    @property
    def command(self) -> str:
        """What the job runs."""
        options = {"data": "validated", "feedback": "feedback", "manifest": "manifest"}
        given = [f"--{option} ${{{{inputs.{name}}}}}" for option, name in options.items() if name in self.inputs]
        start = f"python -m include.training --workload {self.workload} {' '.join(given)}"
        return f"{start} --window {self.window} --out ${{{{outputs.{OUTPUT}}}}}"

    @property
    def hook(self) -> MachineLearningHook:
        """The workspace's jobs; knows what to start while the task executes."""
        return MachineLearningHook(self.cloud_conn_id, self._job)

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the job to its end."""
        with tempfile.TemporaryDirectory() as folder:
            self._job = self._training_job(self.code.write(Path(folder) / "code"))
            return super().execute(context)

    def result(self, context: Context, job_id: str) -> dict[str, Any]:
        """Ids, and where the outputs lie. The ledger keeps them under the snapshot."""
        outputs = naming.job_folder(self.workload, job_id)
        found = {"job": job_id, "snapshot": self.digest, "window": self.window, "outputs": outputs}
        ledger.record(self.workload, self.digest, "job", {**found, "code": self.code.digest, "studio": self.link})
        return found

    def _training_job(self, code: Path) -> TrainingJob:
        return TrainingJob(
            command=self.command,
            code=code,
            requirements=self.code.requirements,
            python=PYTHON,
            inputs=self.inputs,
            outputs={OUTPUT: naming.job_folder(self.workload, "{job}")},
            experiment=self.workload,
            display_name=f"{self.workload} {self.window}",
            variables=VARIABLES,
        )
