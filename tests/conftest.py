"""An embedded cloud for the tests: real protocols on loopback, one set of programs for the whole session."""

import json
import os
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("AIRFLOW__USAGE_DATA_COLLECTION__ENABLED", "False")
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ.setdefault("AIRFLOW__CORE__UNIT_TEST_MODE", "False")

from include.standin.home import Home, free_port_base

if TYPE_CHECKING:
    from tests.include.standin.node.site import Site

CLOUD_SERVICES = ("entra", "data_factory", "machine_learning", "power_bi")


@pytest.fixture(scope="session", autouse=True)
def _airflow_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the Airflow of the machine."""
    os.environ["AIRFLOW_HOME"] = str(tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home of its own with free ports; sites as in include/sites.yaml."""
    found = Home.create(tmp_path_factory.mktemp("home"), free_port_base(4))
    before = os.environ.get("EDGELOOP_HOME")
    os.environ["EDGELOOP_HOME"] = str(found.path)
    yield found
    if before is None:
        del os.environ["EDGELOOP_HOME"]
    else:
        os.environ["EDGELOOP_HOME"] = before


@pytest.fixture(scope="session")
def storage(home: Home) -> Iterator[Home]:
    """Azurites and the proxy are up, containers and queues are made."""
    from include.standin.storage.running import running

    with running(home):
        yield home


@pytest.fixture(scope="session")
def cloud(storage: Home) -> Iterator[Home]:
    """Tokens, Data Factory, Azure ML and Power BI answer at `home.url("cloud")`, on top of the storage."""
    from include.standin.serving import Background, create_app

    services = [import_module(f"include.standin.{name}").create(storage) for name in CLOUD_SERVICES]
    with Background(create_app(storage, *services), storage, storage.port("cloud")):
        yield storage


@pytest.fixture(scope="session")
def connections(home: Home) -> Iterator[dict[str, dict[str, object]]]:
    """Every Airflow Connection of the home, as AIRFLOW_CONN_* in the environment."""
    from include.standin.connections import connections as built

    found = built(home)
    names = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(said) for name, said in found.items()}
    os.environ.update(names)
    yield found
    for name in names:
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Site"]:
    """A site that runs pods: API server, node agent, registry of releases. EDGELOOP_TEST_KUBERNETES_BIN: with a real API server."""
    from tests.include.standin.node.planes import running_site

    with running_site(tmp_path_factory.mktemp("site"), os.environ.get("EDGELOOP_TEST_KUBERNETES_BIN")) as found:
        yield found
