"""Data of jobs: the lake and the containers of code snapshots, through the storage endpoint that everybody else uses too."""

import contextlib
import re
import ssl
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote

import urllib3
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.storage.blob import BlobServiceClient, ContainerClient, ContainerSasPermissions, generate_container_sas

from include.domain import naming
from include.standin.home import CLOUD_ACCOUNT, Home
from include.standin.machine_learning.exceptions import JobFailed

ARTIFACTS = "azureml"
"""Container of the workspace's own files, such as logs."""
NAME = "lake"
"""The one datastore of the workspace; it stands for the lake's container."""
API_VERSION = "2019-07-07"
PARALLEL = 8
SAS_HOURS = 6
APPEND_BYTES = 4 * 1024 * 1024
"""The most that an append blob takes at once."""


class Datastore:
    """Blobs of the account, as jobs name them: `azureml://datastores/lake/paths/...` or the URL of a blob."""

    def __init__(self, home: Home) -> None:
        self.endpoint = home.blob_url(CLOUD_ACCOUNT)
        self._key = home.account_key(CLOUD_ACCOUNT)
        self._ca = str(home.ca)

    @cached_property
    def _service(self) -> BlobServiceClient:
        credential = {"account_name": CLOUD_ACCOUNT, "account_key": self._key}
        return BlobServiceClient(self.endpoint, credential=credential, api_version=API_VERSION, connection_verify=self._ca, retry_total=3)

    @cached_property
    def _http(self) -> urllib3.PoolManager:
        context = ssl.create_default_context(cafile=self._ca)
        return urllib3.PoolManager(
            maxsize=PARALLEL, ssl_context=context, retries=urllib3.Retry(4, backoff_factor=0.2, status_forcelist=(429, 500, 503))
        )

    def new_container(self) -> str:
        """URL of a fresh container: one for each upload of code, so that two folders of the same name never mix."""
        name = f"snapshot-{uuid.uuid4().hex}"
        self._service.create_container(name)
        return f"{self.endpoint}/{name}"

    def sas(self, url: str, *, write: bool = False) -> str:
        """The URL of a container or a blob, signed for a few hours."""
        container = url.removeprefix(f"{self.endpoint}/").split("/")[0]
        permission = ContainerSasPermissions(read=True, list=True, write=write, create=write, add=write)
        expiry = datetime.now(UTC) + timedelta(hours=SAS_HOURS)
        return f"{url}?" + generate_container_sas(CLOUD_ACCOUNT, container, account_key=self._key, permission=permission, expiry=expiry)

    def locate(self, uri: str) -> tuple[str, str]:
        """Container and path of what a job names; JobFailed when it is nothing that is here."""
        found = re.search(r"^azureml:.*datastores/([^/]+)/paths/(.*)$", uri)
        if found and found[1] == NAME:
            return naming.LAKE, found[2].strip("/")
        if uri.startswith(f"{self.endpoint}/"):
            container, _, path = uri.removeprefix(f"{self.endpoint}/").partition("?")[0].partition("/")
            return container, unquote(path).strip("/")
        raise JobFailed(f"{uri} is neither on the datastore {NAME!r} nor a blob of {self.endpoint}")

    def download_folder(self, uri: str, target: Path) -> int:
        """Every blob under the URI, several at once; gives their number. JobFailed when there is none, as the real service does."""
        container, path = self.locate(uri)
        prefix = f"{path}/" if path else ""
        names = self._names(container, prefix)
        if not names:
            raise JobFailed(f"the input {uri} is empty or does not exist")
        files = {name: target / name.removeprefix(prefix) for name in names}
        for folder in {file.parent for file in files.values()}:
            folder.mkdir(parents=True, exist_ok=True)
        self._download(container, files)
        return len(files)

    def download_file(self, uri: str, target: Path) -> Path:
        """One blob into the folder; gives the file's path."""
        container, path = self.locate(uri)
        target.mkdir(parents=True, exist_ok=True)
        file = target / Path(path).name
        self._download(container, {path: file})
        return file

    def _names(self, container: str, prefix: str) -> list[str]:
        try:
            found = [blob.name for blob in self._service.get_container_client(container).list_blobs(name_starts_with=prefix)]
        except AzureError as error:
            raise JobFailed(f"{container}/{prefix} cannot be listed: {error}") from error
        if any(".." in Path(name).parts for name in found):
            raise JobFailed(f"{container}/{prefix} holds a blob whose name climbs out of its folder")
        return found

    def _download(self, container: str, files: dict[str, Path]) -> None:
        token = self.sas(f"{self.endpoint}/{container}").partition("?")[2]

        def fetch(name: str) -> None:
            reply = self._http.request("GET", f"{self.endpoint}/{container}/{quote(name, safe='/=~')}?{token}")
            if reply.status != 200:
                raise JobFailed(
                    f"the blob {container}/{name} cannot be read: {reply.status} {reply.headers.get('x-ms-error-code', reply.reason)}"
                )
            files[name].write_bytes(reply.data)

        try:
            _in_parallel(fetch, files)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise JobFailed(f"the input {container} cannot be downloaded: {error}") from error

    def upload_folder(self, source: Path, uri: str) -> None:
        """Every file of the folder, to the URI. AzureError: not all of them arrived; it can be done again."""
        container, path = self.locate(uri)
        client = self._service.get_container_client(container)
        files = {f"{path}/{file.relative_to(source).as_posix()}": file for file in source.rglob("*") if file.is_file()}

        def send(name: str) -> None:
            with files[name].open("rb") as data:
                client.upload_blob(name, data, overwrite=True)

        _in_parallel(send, files)

    def log(self, job: str) -> "JobLog":
        """The log of a job; nothing is created yet."""
        return JobLog(self._service.get_container_client(ARTIFACTS), log_blob(job))

    def log_url(self, job: str) -> str:
        """Signed URL of a job's log."""
        return self.sas(f"{self.endpoint}/{ARTIFACTS}/{log_blob(job)}")


def log_blob(job: str) -> str:
    """Where Azure ML keeps a job's log."""
    return f"ExperimentRun/dcid.{job}/user_logs/std_log.txt"


class JobLog:
    """A log that can be read while it is written: an append blob."""

    def __init__(self, container: ContainerClient, name: str) -> None:
        self._container = container
        self._blob = container.get_blob_client(name)
        self._sent: int | None = None

    def follow(self, file: Path) -> None:
        """Append what the file has gained; after a restart, from where the blob ends. AzureError: try again later."""
        if self._sent is None:
            self._sent = self._length()
        with file.open("rb") as log:
            log.seek(self._sent)
            while part := log.read(APPEND_BYTES):
                try:
                    self._blob.append_block(part, appendpos_condition=self._sent)
                except HttpResponseError:
                    self._sent = None  # a repeated request was carried out twice over: look again where the blob ends
                    raise
                self._sent += len(part)

    def _length(self) -> int:
        with contextlib.suppress(ResourceExistsError):  # since the first job
            self._container.create_container()
        try:
            self._blob.create_append_blob(if_none_match="*")
        except ResourceExistsError:
            return int(self._blob.get_blob_properties().size)
        return 0


def _in_parallel(work: Callable[[str], None], names: Iterable[str]) -> None:
    with ThreadPoolExecutor(PARALLEL) as pool:
        for _ in pool.map(work, names):
            pass
