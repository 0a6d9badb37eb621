"""The state of the world that the loop acts on: lake, compliant storage, queues, clusters. What the demo counts and checks."""

import io
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import pyarrow.parquet as pq
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.queue import QueueClient
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from include import settings
from include.border import store
from include.border.store import Commit
from include.demo.edge import Edge
from include.domain import naming
from include.domain.windows import Window
from include.domain.workload import Workload

UPLOADS = 8
RETRIES = 8
"""Of a storage client, each later than the one before: a storage that was killed is back in less."""
Connections = dict[str, dict[str, Any]]
"""By id: `host, login, password, extra`."""


def inputs(row: dict[str, Any]) -> dict[str, Any]:
    """What a user would send of a golden row: the values that are there."""
    return {name: value for name, value in row.items() if name not in ("expected", "kind") and value is not None and value == value}


class World:
    """A cloud, its sites and one workload, looked at with the SDKs through the Connections that Airflow has."""

    def __init__(self, connections: Connections, workload: Workload) -> None:
        self.workload = workload
        self._connections = connections
        self._edges: dict[str, Edge] = {}

    @cached_property
    def blobs(self) -> BlobServiceClient:
        """The cloud account's blobs."""
        said = self._connections[settings.LAKE]
        return BlobServiceClient(said["host"], **_options(said))

    def container(self, name: str) -> ContainerClient:
        """A container of the cloud account."""
        return self.blobs.get_container_client(name)

    def upload_exports(self, files: Iterable[tuple[str, bytes]]) -> int:
        """Leave the historian's files where Data Factory looks for them; what is there already stays."""
        landing = self.container(naming.LANDING)
        there = {blob.name for blob in landing.list_blobs()}
        missing = [(name, data) for name, data in files if name not in there]
        with ThreadPoolExecutor(UPLOADS) as pool:
            list(pool.map(lambda file: landing.upload_blob(*file, overwrite=True), missing))
        return len(there) + len(missing)

    def count(self, stage: str) -> int:
        """Blobs of a stage in the lake."""
        return sum(1 for _ in self.container(naming.LAKE).list_blobs(name_starts_with=f"{self.workload.name}/{stage}/"))

    def expected(self, window: Window) -> int:
        """Partitions of a window: one a site and day."""
        return len(window) * len(self.workload.sites)

    def ledger(self, subject: str, step: str) -> dict[str, Any] | None:
        """An entry of the ledger."""
        blob = f"{self.workload.name}/ledger/{subject.replace(':', '-')}/{step}.json"
        try:
            return dict(json.loads(self.container(naming.LAKE).download_blob(blob).readall()))
        except ResourceNotFoundError:
            return None

    def champion(self) -> str | None:
        """Digest of the newest release."""
        found = self.ledger("champion", "release")
        return str(found["digest"]) if found else None

    def accounted(self, site: str) -> set[str]:
        """Ids of events that were stored, refused or poisoned."""
        return {event for commit in self.committed(site) for event in (*commit.ids, *commit.poisoned)}

    def stored(self, *sites: str) -> int:
        """Rows in compliant storage, of these sites (none named: of all)."""
        return sum(file.rows for site in sites or self.workload.sites for commit in self.committed(site) for file in commit.files)

    def committed(self, site: str) -> list[Commit]:
        """The site's commits; what they name is what counts."""
        return list(store.committed(self.container(naming.COMPLIANT), self.workload.name, site))

    def queued(self, site: str) -> int:
        """Messages that wait in a site's queue."""
        said = self._connections[settings.site_storage(site)]
        queue = QueueClient(said["extra"]["queue_endpoint"], naming.queue(self.workload.name), **_options(said))
        return int(queue.get_queue_properties().approximate_message_count or 0)

    @property
    def page_url(self) -> str:
        """The global page, as people reach it."""
        return f"{self._web}/{self.workload.name}/index.html"

    @property
    def docs_url(self) -> str | None:
        """The newest Data Docs."""
        names = sorted(blob.name for blob in self.container(naming.WEB).list_blobs(name_starts_with=f"{self.workload.name}/validation/"))
        pages = [name for name in names if name.endswith("/index.html")]
        return f"{self._web}/{pages[-1]}" if pages else None

    @property
    def _web(self) -> str:
        return str(self._connections[settings.LAKE]["extra"].get("web_url") or self.container(naming.WEB).url)

    def page(self) -> bytes | None:
        """The global page's HTML, or None before it was published."""
        try:
            return bytes(self.container(naming.WEB).download_blob(f"{self.workload.name}/index.html").readall())
        except ResourceNotFoundError:
            return None

    def serves(self, site: str) -> str | None:
        """Digest of the release that the site's scorer answers with, or None where none answers."""
        try:
            return self.edge(site).release(inputs(self.golden()[0]))
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def edge(self, site: str) -> Edge:
        """The site's scorer: where the Connection says that users reach it, else at the address of its Service."""
        if site not in self._edges:
            url = self._connections[settings.site_cluster(site)]["extra"].get("scorer_url")
            self._edges[site] = Edge(site, url or self._service_url(site))
        return self._edges[site]

    def golden(self) -> list[dict[str, Any]]:
        """The champion's golden rows."""
        champion = self.ledger("champion", "release") or {}
        candidate = self.ledger(str(champion["snapshot"]), "candidate") or {}
        blob = f"{naming.job_folder(self.workload.name, str(candidate['job']))}/golden.parquet"
        return pq.read_table(io.BytesIO(self.container(naming.LAKE).download_blob(blob).readall())).to_pylist()

    def _service_url(self, site: str) -> str:
        extra = self._connections[settings.site_cluster(site)]["extra"]
        core = client.CoreV1Api(config.new_client_from_config_dict(json.loads(extra["kube_config"])))
        spec = core.read_namespaced_service(naming.scorer(self.workload.name), extra["namespace"]).spec
        return f"http://{spec.cluster_ip}:{spec.ports[0].port}"


def _options(connection: dict[str, Any]) -> dict[str, Any]:
    """Options of a storage client."""
    extra = connection["extra"]
    credential = {"account_name": connection["login"], "account_key": connection["password"]}
    verify = extra.get("ca_bundle") or True
    return {"credential": credential, "api_version": extra["api_version"], "connection_verify": verify, "retry_total": RETRIES}
