"""The real Azure ML client on the stand-in, and small jobs for it."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Environment
from azure.core.credentials import AccessToken
from azure.storage.blob import BlobServiceClient, ContainerClient

from include.standin.entra.models import Directory
from include.standin.home import Home


class Token:
    """A credential that has a token already."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        return AccessToken(Directory(self._home).issue(self._home.audience), int(time.time()) + 3000)


def _client(home: Home, base: str) -> MLClient:
    return MLClient(
        Token(home),
        home.identity.subscription_id,
        "edgeloop",
        "edgeloop",
        show_progress=False,
        enable_telemetry=False,
        connection_verify=str(home.ca),
        cloud=f"test-{base[-5:]}",
        cloud_metadata={
            "azure_portal": base,
            "resource_manager": base,
            "active_directory": base,
            "aml_resource_id": home.audience,
            "storage_endpoint": "core.localhost",
            "registry_discovery_endpoint": base,
        },
    )


@pytest.fixture(scope="module", autouse=True)
def _environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Environments of tests are no environments of the checkout."""
    before = os.environ.get("EDGELOOP_ENVIRONMENTS")
    os.environ["EDGELOOP_ENVIRONMENTS"] = str(tmp_path_factory.mktemp("environments"))
    yield
    if before is None:
        del os.environ["EDGELOOP_ENVIRONMENTS"]
    else:
        os.environ["EDGELOOP_ENVIRONMENTS"] = before


@pytest.fixture
def connect(storage: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], MLClient]:
    """A client of the workspace at that URL. What it uploads and streams does not go by `connection_verify`, only by the environment."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(storage.ca))
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "put back")
    return lambda base: _client(storage, base)


@pytest.fixture
def ml(cloud: Home, connect: Callable[[str], MLClient]) -> MLClient:
    return connect(cloud.url("cloud"))


@pytest.fixture(scope="session")
def lake(storage: Home) -> ContainerClient:
    credential = {"account_name": "edgeloopcloud", "account_key": storage.account_key("edgeloopcloud")}
    service = BlobServiceClient(storage.blob_url("edgeloopcloud"), credential=credential, connection_verify=str(storage.ca))
    return service.get_container_client("lake")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "script.py").write_text("import sys; print('script', *sys.argv[1:])")
    return folder


T = TypeVar("T")


def _until(look: Callable[[], T], good: Callable[[T], bool], seconds: float = 20) -> T:
    deadline = time.monotonic() + seconds
    while not good(found := look()):
        assert time.monotonic() < deadline, f"still {found!r} after {seconds} s"
        time.sleep(0.1)
    return found


def _wait_for(ml: MLClient, name: str, *statuses: str) -> str:
    wanted = statuses or ("Completed", "Failed", "Canceled")
    return _until(lambda: _status(ml, name), lambda status: status in wanted, 40)


def _status(ml: MLClient, name: str) -> str:
    said = ml.jobs.get(name).status
    return str(getattr(said, "value", said))


def _processes(start: str) -> list[int]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # gone
            if file.read_bytes().replace(b"\0", b" ").startswith(start.encode()):
                found.append(int(file.parent.name))
    return found


@pytest.fixture(scope="session")
def until():
    """Look until it is good; bounded."""
    return _until


@pytest.fixture(scope="session")
def wait_for():
    """Wait until a job has one of the statuses, by default until it is over; bounded."""
    return _wait_for


@pytest.fixture(scope="session")
def processes():
    """Ids of the processes whose command line starts so."""
    return _processes


@pytest.fixture
def empty_environment() -> Environment:
    """An environment without packages: built in an instant, without an index."""
    return Environment(
        image="mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04", conda_file={"name": "t", "dependencies": ["python=3.11", "pip"]}
    )
