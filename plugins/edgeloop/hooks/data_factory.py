"""Azure Data Factory: definitions are deployed, pipelines are run, runs are found again by a key among their parameters."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from edgeloop.exceptions import EdgeloopError
from edgeloop.hooks.cloud import CloudHook
from edgeloop.hooks.failures import clearly
from edgeloop.hooks.storage import StorageHook
from include.settings import CLOUD, LAKE
from include.workloads import folder

if TYPE_CHECKING:
    from azure.mgmt.datafactory import DataFactoryManagementClient

REMEMBERED = timedelta(days=30)
"""How far back a run is looked for; Data Factory forgets after 45 days."""
KINDS = ("linkedService", "dataset", "pipeline")
"""Folders of a factory's git repository, what is referred to first."""
PUBLIC = "https://management.azure.com"
PORTAL = "https://adf.azure.com"


class DefinitionError(EdgeloopError):
    """A workload's Data Factory definition cannot be used."""


@dataclass(frozen=True)
class Copied:
    """What the Copy activities of a run moved."""

    files: int
    rows: int
    bytes: int


class DataFactoryHook(BaseHook):
    """The factory that the cloud profile names."""

    _retries = 4
    """Of one request, by the client: what lasts longer is the task's retry's business."""

    def __init__(self, cloud_conn_id: str = CLOUD) -> None:
        super().__init__()
        self.cloud_conn_id = cloud_conn_id

    @cached_property
    def cloud(self) -> CloudHook:
        """The cloud that the factory is in."""
        return CloudHook(self.cloud_conn_id)

    @cached_property
    def client(self) -> "DataFactoryManagementClient":
        """The management client, at this cloud's resource manager."""
        from azure.mgmt.datafactory import DataFactoryManagementClient

        profile = self.cloud.profile
        return DataFactoryManagementClient(
            self.cloud.credential,
            profile.subscription_id,
            base_url=profile.resource_manager,
            credential_scopes=[profile.arm_scope],
            connection_verify=profile.verify,
            connection_timeout=10,
            read_timeout=60,
            retry_total=self._retries,
        )

    @property
    def _factory(self) -> tuple[str, str]:
        return self.cloud.profile.resource_group, self.cloud.profile.factory_name

    def _clearly(self, what: str) -> AbstractContextManager[None]:
        profile = self.cloud.profile
        return clearly(f"Data Factory {profile.factory_name} ({what})", self.cloud_conn_id, profile.resource_manager)

    def put(self, kind: str, name: str, definition: Mapping[str, Any]) -> None:
        """Create or replace a definition as it is stored in git: `kind` is `linkedService`, `dataset` or `pipeline`.

        Raw JSON: the client's model classes write wrong types (azure-mgmt-datafactory 10).
        """
        group, factory = self._factory
        body = json.dumps({"properties": definition["properties"]}).encode()
        operations = {"linkedService": self.client.linked_services, "dataset": self.client.datasets, "pipeline": self.client.pipelines}
        with self._clearly(f"{kind} {name}"):
            operations[kind].create_or_update(group, factory, name, body)

    def deploy(self, workload: str, lake_conn_id: str = LAKE) -> list[str]:
        """Put the workload's definitions (`include/workloads/<workload>/data_factory`) into the factory; gives their names.

        The same definitions change nothing. The linked service's endpoint is the one of the lake's Connection.
        """
        endpoint = StorageHook(lake_conn_id).connection.host
        found = [*_definitions(folder(workload) / "data_factory")]
        for kind, definition in found:
            if kind == "linkedService":
                definition["properties"]["typeProperties"]["serviceEndpoint"] = endpoint
            self.put(kind, definition["name"], definition)
        return [f"{kind} {definition['name']}" for kind, definition in found]

    def start(self, pipeline: str, parameters: Mapping[str, Any]) -> str:
        """Start a run; gives the service's run id."""
        group, factory = self._factory
        with self._clearly(f"pipeline {pipeline}"):
            return str(self.client.pipelines.create_run(group, factory, pipeline, parameters=dict(parameters)).run_id)

    def run(self, run_id: str) -> Any:
        """The run as the client gives it."""
        group, factory = self._factory
        with self._clearly(f"run {run_id}"):
            return self.client.pipeline_runs.get(group, factory, run_id)

    def cancel(self, run_id: str) -> None:
        """Stop the run."""
        group, factory = self._factory
        with self._clearly(f"run {run_id}"):
            self.client.pipeline_runs.cancel(group, factory, run_id, is_recursive=True)

    def runs(self, pipeline: str) -> Iterator[Any]:
        """Runs of the pipeline, newest first, as far back as REMEMBERED."""
        filters = [{"operand": "PipelineName", "operator": "Equals", "values": [pipeline]}]
        query = {**_window(), "filters": filters, "orderBy": [{"orderBy": "RunStart", "order": "DESC"}]}
        group, factory = self._factory
        with self._clearly(f"runs of pipeline {pipeline}"):
            yield from _pages(lambda body: self.client.pipeline_runs.query_by_factory(group, factory, body), query)

    def copied(self, run_id: str) -> Copied:
        """Sums over the run's Copy activities."""
        group, factory = self._factory
        with self._clearly(f"activities of run {run_id}"):
            found = _pages(lambda body: self.client.activity_runs.query_by_pipeline_run(group, factory, run_id, body), _window())
            return _sum(activity.output or {} for activity in found if activity.activity_type == "Copy")

    def link(self, run_id: str) -> str:
        """Where a person looks at the run: the portal in Azure, else the run's own address."""
        profile = self.cloud.profile
        factory = (
            f"/subscriptions/{profile.subscription_id}/resourceGroups/{profile.resource_group}"
            f"/providers/Microsoft.DataFactory/factories/{profile.factory_name}"
        )
        if profile.resource_manager == PUBLIC:
            return f"{PORTAL}/en/monitoring/pipelineruns/{run_id}?factory={factory}"
        return f"{profile.resource_manager}{factory}/pipelineruns/{run_id}?api-version=2018-06-01"


def _definitions(where: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and content of each file, what is referred to first."""
    for kind in KINDS:
        for file in sorted((where / kind).glob("*.json")):
            try:
                definition = json.loads(file.read_text(encoding="utf-8"))
                yield kind, {"name": definition["name"], "properties": definition["properties"]}
            except (ValueError, KeyError, TypeError) as error:
                raise DefinitionError(f"{file} is not a {kind} as Data Factory stores it (name, properties): {error!r}") from error


def _window() -> dict[str, str]:
    now = datetime.now(UTC)
    return {"lastUpdatedAfter": (now - REMEMBERED).isoformat(), "lastUpdatedBefore": (now + timedelta(hours=1)).isoformat()}


def _pages(ask: Any, query: Mapping[str, Any]) -> Iterator[Any]:
    """Every entry of a query, page after page."""
    body = dict(query)
    while True:
        answer = ask(json.dumps(body).encode())
        yield from answer.value
        if not answer.continuation_token:
            return
        body["continuationToken"] = answer.continuation_token


def _sum(outputs: Iterable[Mapping[str, Any]]) -> Copied:
    found = [*outputs]
    return Copied(
        files=sum(int(one.get("filesWritten", 0)) for one in found),
        rows=sum(int(one.get("rowsCopied", 0)) for one in found),
        bytes=sum(int(one.get("dataWritten", 0)) for one in found),
    )
