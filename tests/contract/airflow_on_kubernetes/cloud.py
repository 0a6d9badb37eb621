"""The embedded cloud of the tests, on an address that pods reach: tokens, Data Factory, storage."""

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx

from include.demo.world import World
from include.standin import connections
from include.standin.home import Home, free_port_base
from include.standin.place import BIND, HOSTS
from include.standin.serving import Background, client_context, create_app
from include.standin.storage.rules import NEWEST_STACK_HUB
from include.standin.storage.running import running
from include.workloads import load
from include.workloads.wind_power.sample.export import export

FIRST, LAST = date(2014, 1, 6), date(2014, 1, 8)
LOGS = "edgeloop_logs"
CONTAINER = "airflow-logs"


@contextlib.contextmanager
def cloud(folder: Path, address: str) -> Iterator[Home]:
    """A running one, with three days of exports and the container for Airflow's logs."""
    before = {name: os.environ.get(name) for name in (BIND, HOSTS)}
    os.environ.update({BIND: address, HOSTS: address})
    try:
        home = Home.create(folder, free_port_base(4))
        with running(home), _control_plane(home):
            world = World(connections.services(home), load("wind_power"))
            world.upload_exports(export(FIRST, LAST))
            world.blobs.create_container(CONTAINER)
            yield home
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def _control_plane(home: Home) -> Iterator[None]:
    services = [import_module(f"include.standin.{name}").create(home) for name in ("entra", "data_factory")]
    with Background(create_app(home, *services), home, home.port("cloud")):
        yield


def slow_down(home: Home, files: int) -> None:
    """The next files that come into the lake take two seconds each: the pipeline is still at it when it is first asked for."""
    fault = {"method": "PUT", "path": "wind_power/raw/", "delay": 2.0, "count": files}
    httpx.put(f"{home.url('blob')}/_faults", json=fault, verify=client_context(home)).raise_for_status()


def connections_file(home: Home, ca: str) -> str:
    """`connections.json` for Airflow in pods, where the CA lies at `ca`."""
    found = {**connections.services(home), LOGS: _logs(home)}
    return json.dumps(found).replace(str(home.ca), ca)


def _logs(home: Home) -> dict[str, Any]:
    """What docs/airflow-on-kubernetes.md says of it, for a storage that is not Azure's."""
    account = home.account()
    parts = {
        "DefaultEndpointsProtocol": "https",
        "AccountName": account,
        "AccountKey": home.account_key(account),
        "BlobEndpoint": home.blob_url(account),
    }
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    return {
        "conn_type": "wasb",
        "extra": {"connection_string": text, "api_version": NEWEST_STACK_HUB, "connection_verify": str(home.ca)},
    }
