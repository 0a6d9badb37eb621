"""The whole loop in a home of its own: the embedded cloud and Airflow, as `make demo` starts them, with a few weeks of exports."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from include.demo import airflow
from include.demo.__main__ import listed, start
from include.demo.api import AirflowApi, Run
from include.demo.world import World
from include.domain import naming
from include.domain.windows import Window
from include.standin import __main__ as standin
from include.standin import connections, processes
from include.standin.home import Home, free_port_base
from include.standin.programs import programs
from include.standin.serving import client_context
from include.standin.supervision import Supervisor
from include.workloads import load
from include.workloads.wind_power.sample.export import export

EXPORTED = Window(date(2014, 1, 1), date(2014, 2, 15))
"""What the historians left; each test brings in days of its own."""
PATIENCE = 170.0
"""Seconds for anything that is waited for; most of it takes 5 on a quiet machine."""
T = TypeVar("T")


def until(seen: Callable[[], T], what: str, within: float = PATIENCE, every: float = 0.3) -> T:
    """Wait until it is seen, and give it."""
    end = time.monotonic() + within
    while not (found := seen()):
        assert time.monotonic() < end, f"{what}: not within {within:.0f} s"
        time.sleep(every)
    return found


@pytest.fixture(name="until", scope="session")
def _until() -> Callable[..., Any]:
    """The way of waiting."""
    return until


@dataclass
class Loop:
    """A running loop, driven as a person drives it and looked at from outside."""

    home: Home
    api: AirflowApi
    world: World

    # Airflow

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        """Airflow's REST API, where the demo's client has no name for it."""
        return self.api._call(method, path, **arguments)

    def ingest(self, first: str, last: str | None = None, **more: Any) -> Run:
        """Start an ingest by hand."""
        return self.api.trigger("wind_power.ingest", {"window_start": first, "window_end": last or first, "reason": "a test", **more})

    def ended(self, run: Run, state: str = "success") -> Run:
        """The run when it is over, which it is in this state."""

        def over() -> Run | None:
            now = self.api.run(run)
            return now if now.finished else None

        found = until(over, f"{run.dag} {run.id} is over")
        assert found.state == state, self.api.failure(found)
        return found

    def followed(self, stage: str, key: str) -> Run:
        """The run of the stage that an event started for the key, when it ended well."""
        dag = f"wind_power.{stage}"
        return self.ended(until(lambda: [run for run in self.api.runs(dag) if run.partition_key == key], f"{dag} for {key}")[-1])

    def task(self, run: Run, task: str, index: int = -1) -> dict[str, Any]:
        """One task instance; empty while there is none."""
        found = [one for one in self.api.tasks(run) if one["task_id"] == task and one["map_index"] == index]
        return found[0] if found else {}

    def pause(self, stage: str, paused: bool) -> None:
        """The switch beside a DAG's name."""
        self.ask("PATCH", f"/dags/wind_power.{stage}", json={"is_paused": paused})

    def mark_failed(self, run: Run, task: str, index: int | None = None) -> None:
        """What the button does."""
        path = f"/dags/{run.dag}/dagRuns/{run.id}/taskInstances/{task}" + ("" if index is None else f"/{index}")
        self.ask("PATCH", path, json={"new_state": "failed"})

    def days(self, stage: str, site: str) -> set[str]:
        """Days of a site that lie in a stage of the lake."""
        names = [blob.name for blob in self.world.container("lake").list_blobs(name_starts_with=f"wind_power/{stage}/site={site}/")]
        return {name.split("date=")[1][:10] for name in names}

    def validated(self) -> set[str]:
        """Days that are validated for every site."""
        return set.intersection(*(self.days("validated", site) for site in self.home.sites))

    # the cloud

    @cached_property
    def cloud(self) -> httpx.Client:
        """A client of the stand-in that calls as the service principal does."""
        known = self.home.identity
        client = httpx.Client(base_url=self.home.url("cloud"), verify=client_context(self.home), timeout=30, trust_env=False)
        form = {
            "grant_type": "client_credentials",
            "client_id": known.client_id,
            "client_secret": known.client_secret,
            "scope": f"{self.home.audience}/.default",
        }
        token = client.post(f"/{known.tenant_id}/oauth2/v2.0/token", data=form).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    def _resource(self, kind: str) -> str:
        return f"/subscriptions/{self.home.identity.subscription_id}/resourceGroups/edgeloop/providers/{kind}"

    def factory_runs(self, first: str) -> list[dict[str, Any]]:
        """Data Factory's runs of the window that begins on this day."""
        url = self._resource("Microsoft.DataFactory/factories/edgeloop/queryPipelineRuns")
        body = {"lastUpdatedAfter": "2020-01-01T00:00:00Z", "lastUpdatedBefore": "2100-01-01T00:00:00Z"}
        found: list[dict[str, Any]] = []
        while True:
            said = self.cloud.post(url, params={"api-version": "2018-06-01"}, json=body).raise_for_status().json()
            found += [run for run in said["value"] if run["parameters"]["windowStart"] == first]
            if not said.get("continuationToken"):
                return found
            body["continuationToken"] = said["continuationToken"]

    def job(self, name: str) -> dict[str, Any]:
        """A job of Azure ML."""
        url = self._resource(f"Microsoft.MachineLearningServices/workspaces/edgeloop/jobs/{name}")
        return dict(self.cloud.get(url, params={"api-version": "2024-04-01"}).raise_for_status().json()["properties"])

    # the machine

    @contextlib.contextmanager
    def slow_landing(self, delay: float = 2.0, count: int = 100) -> Iterator[None]:
        """Reading the historians' files takes long."""
        url = f"{self.home.url('blob')}/_faults"
        with httpx.Client(verify=client_context(self.home), timeout=30, trust_env=False) as client:
            client.put(url, json={"method": "GET", "path": f"/{naming.LANDING}/", "delay": delay, "count": count}).raise_for_status()
            try:
                yield
            finally:
                with contextlib.suppress(httpx.TransportError):  # a storage that was killed has forgotten it
                    client.delete(url).raise_for_status()

    def supervised(self) -> dict[str, int]:
        """Program -> process id, of those that run."""
        both = (Supervisor(self.home, programs(self.home)), airflow.supervisor(self.home))
        return {state.name: state.pid for one in both for state in one._supervised() if state.pid}

    def well(self) -> bool:
        """Whether every program runs, answers and has a heartbeat."""
        both = (Supervisor(self.home, programs(self.home)), airflow.supervisor(self.home))
        found = airflow.health(self.home)
        return all(state.well for one in both for state in one.status()) and set(found.values()) == {"healthy"}

    def kill(self, program: str, number: int = signal.SIGKILL) -> None:
        """Kill a program; the supervisor starts it again."""
        before = self.supervised()[program]
        os.kill(before, number)
        until(lambda: self.supervised().get(program, before) != before, f"{program} is started again")

    def commands(self) -> list[psutil.Process]:
        """Processes of training jobs: they live in the folder of their job."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if "include.training" in " ".join(process.cmdline()) and process.cwd().startswith(str(self.home.path.resolve())):
                    found.append(process)
        return found


@pytest.fixture(scope="session")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """One loop for all tests; nothing of it survives them."""
    home = Home.create(tmp_path_factory.mktemp("loop"), free_port_base(4))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EDGELOOP_HOME", str(home.path))
            start(home)
            api = listed(airflow.login(home), lambda said: None)
            world = World(connections.read(home), load("wind_power"))
            world.upload_exports(export(EXPORTED.first, EXPORTED.last))
            yield Loop(home, api, world)
    finally:
        standin.down(home)
    assert processes.of_home(home) == []
