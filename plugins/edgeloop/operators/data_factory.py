"""Runs a pipeline of Azure Data Factory."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from airflow.sdk import Context

from edgeloop.hooks.pipeline_runs import PipelineRuns
from edgeloop.operators.remote_job import RemoteJobOperator
from include.settings import CLOUD


class RunPipelineOperator(RemoteJobOperator):
    """Runs a pipeline with parameters and waits for it; gives `job_id, run_id, pipeline, parameters, files, rows, bytes`.

    The pipeline declares a parameter `runKey`, which the operator fills. With `workload`, that workload's definitions are deployed first.
    Each Airflow run copies anew, and so does a finished task that is cleared: the source may have changed. Retries of one run find the
    pipeline run that is there.
    """

    template_fields: Sequence[str] = ("pipeline", "parameters", "cloud_conn_id")
    template_fields_renderers = {"parameters": "json"}  # noqa: RUF012 - as Airflow declares it
    repeats_when_cleared = True
    ui_color = "#dbeafe"

    def __init__(
        self,
        *,
        pipeline: str,
        parameters: Mapping[str, Any],
        workload: str | None = None,
        cloud_conn_id: str = CLOUD,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workload = workload
        self.pipeline = pipeline
        self.parameters = parameters
        self.cloud_conn_id = cloud_conn_id

    def base_id(self, context: Context) -> str:
        """From pipeline, parameters, DAG and run."""
        inputs = [self.pipeline, dict(self.parameters), context["dag_run"].dag_id, context["run_id"]]
        return f"{self.pipeline}-{hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]}"

    @cached_property
    def hook(self) -> PipelineRuns:
        """Runs of this pipeline."""
        return PipelineRuns(self.pipeline, self.parameters, self.workload, self.cloud_conn_id)

    def result(self, context: Context, job_id: str) -> dict[str, Any]:
        """Ids, and how much was copied."""
        run_id = self.hook.run_id(job_id)
        copied = self.hook.hook.copied(run_id)
        return {
            "job_id": job_id,
            "run_id": run_id,
            "pipeline": self.pipeline,
            "parameters": dict(self.parameters),
            "files": copied.files,
            "rows": copied.rows,
            "bytes": copied.bytes,
        }
