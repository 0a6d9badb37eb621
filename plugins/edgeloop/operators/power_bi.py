"""Refreshes a dataset of Power BI."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from airflow.sdk import Context

from edgeloop.hooks.power_bi import Refreshes
from edgeloop.operators.remote_job import RemoteJobOperator
from include.domain.publication import Version
from include.settings import CLOUD


class RefreshDatasetOperator(RemoteJobOperator):
    """Refreshes the dataset once for a version of the published data; gives `job_id, request_id, version`.

    A refresh that began after the version was written shows it, whoever began it: it is taken for the job.
    """

    template_fields: Sequence[str] = ("version", "cloud_conn_id")
    ui_color = "#fef3c7"

    def __init__(self, *, workload: str, version: str, cloud_conn_id: str = CLOUD, **kwargs: Any) -> None:
        super().__init__(**{"poll_interval": 1.0, **kwargs})
        self.workload = workload
        self.version = version
        self.cloud_conn_id = cloud_conn_id

    def base_id(self, context: Context) -> str:
        """From workload and version."""
        return f"{self.workload}-{self.version}"

    @cached_property
    def hook(self) -> Refreshes:
        """Refreshes since the version was written."""
        return Refreshes(Version.parse(self.version).at.isoformat(), self.cloud_conn_id)

    def result(self, context: Context, job_id: str) -> dict[str, Any]:
        """Ids only."""
        return {"job_id": job_id, "request_id": self.hook.request_ids.get(job_id), "version": self.version}
