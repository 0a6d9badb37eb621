"""docker-compose.yaml, run: up and healthy, the loop turned while each container is killed once, turned again, and nothing left.

EDGELOOP_TEST_DOCKER names the program `docker` of an engine that has Compose and every image, also this checkout's
(`docker compose build`).
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = "edgeloop-contract"
EVERY = 15.0
"""Seconds between two kills."""
ONCE = ("keys", "set-up", "migrate", "demo")
"""Services that end by themselves."""
SERVICES = 14
"""The others."""

pytestmark = [pytest.mark.engine, pytest.mark.timeout(2400)]


@dataclass(frozen=True)
class Compose:
    """The project, by the command line that its users have."""

    docker: str

    def run(self, *words: str, within: int = 1500, check: bool = True) -> str:
        command = [self.docker, "compose", "--project-name", PROJECT, *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=within, check=False)
        if check and done.returncode:
            pytest.fail(f"docker compose {' '.join(words)} ended with {done.returncode}:\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}")
        return done.stdout

    def containers(self) -> dict[str, str]:
        """Service -> id of its container, of those that run."""
        rows = [json.loads(line) for line in self.run("ps", "--format", "json").splitlines()]
        return {row["Service"]: row["ID"] for row in rows if row["State"] == "running"}

    def left(self) -> list[str]:
        """Names of everything that carries the project's label."""
        found = []
        for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
            command = [self.docker, *kind, "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}"]
            found += subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()
        return found

    def kill(self, service: str) -> None:
        """End the container's program as a crash would, so that its restart policy counts. Azurite may write what it holds in memory."""
        end = time.monotonic() + 120
        while not (container := self.containers().get(service)):  # it may be starting again after another was killed
            assert time.monotonic() < end, f"{service} does not run"
            time.sleep(1)
        state = [self.docker, "inspect", "--format", "{{.State.Pid}}", container]
        pid = int(subprocess.run(state, capture_output=True, text=True, timeout=60, check=True).stdout)
        os.kill(pid, signal.SIGTERM if service.startswith("azurite") else signal.SIGKILL)


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    docker = os.environ.get("EDGELOOP_TEST_DOCKER")
    if not docker:
        pytest.skip("EDGELOOP_TEST_DOCKER is not set")
    found = Compose(docker)
    found.run("down", "--volumes", "--timeout", "20", check=False)
    yield found
    found.run("down", "--volumes", "--timeout", "20", check=False)


def test_up_is_healthy(compose: Compose) -> None:
    compose.run("up", "--wait", "--no-build")
    assert {"scheduler", "api-server", "site-north", "storage"} <= {*compose.containers()}


def test_nothing_is_published_beyond_loopback(compose: Compose) -> None:
    said = json.loads(compose.run("config", "--format", "json"))
    published = [port for service in said["services"].values() for port in service.get("ports", ())]
    assert published
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_no_secret_is_in_the_containers_environment(compose: Compose) -> None:
    """Whoever may look at a container reads its environment."""
    for container in compose.containers().values():
        said = subprocess.run([compose.docker, "inspect", container], capture_output=True, text=True, timeout=60, check=True).stdout
        names = [word.partition("=") for word in json.loads(said)[0]["Config"]["Env"]]
        assert not [name for name, _, value in names if "PASSWORD" in name and value and not value.startswith("/")]


def test_the_loop_turns_while_each_container_is_killed_once(compose: Compose) -> None:
    """The driver's own checks are the end state: what each site serves, and that no event was lost or doubled."""
    over = threading.Event()
    killed: list[str] = []

    def kill_each() -> None:
        for service in [name for name in compose.containers() if name not in ONCE]:
            over.wait(EVERY)  # on a fast machine the rest is killed at the end, and the second run sees it
            compose.kill(service)
            killed.append(service)

    killer = threading.Thread(target=kill_each)
    killer.start()
    try:
        told = compose.run("run", "--rm", "demo")
    finally:
        over.set()
        killer.join(600)
    print(told, f"killed, one after the other: {', '.join(killed)}")
    assert "FAILS" not in told
    assert len(killed) == SERVICES


def test_the_second_time_picks_up(compose: Compose) -> None:
    compose.run("up", "--wait", "--no-build")
    told = compose.run("run", "--rm", "demo")
    assert "both sites serve it already" in told
    assert "FAILS" not in told


def test_down_leaves_nothing(compose: Compose) -> None:
    compose.run("down", "--volumes", "--timeout", "20")
    assert compose.left() == []
