"""The stand-in is killed at any moment: jobs go on, and none starts twice."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from azure.ai.ml import MLClient, Output, command
from azure.ai.ml.entities import Command, Environment
from azure.storage.blob import ContainerClient

from include.standin.home import Home, port_taken

SERVER = """
import sys
from include.standin import machine_learning
from include.standin.home import Home
from include.standin.serving import create_app, run
home = Home.create(sys.argv[1])
run(create_app(home, machine_learning.create(home)), home, int(sys.argv[2]))
"""


@pytest.fixture
def serve(storage: Home, tmp_path: Path, until) -> Callable:
    """Azure ML as a process of its own, with a state of its own and the session's storage."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(storage.path / "home.json", folder)
    shutil.copytree(storage.path / "ca", folder / "ca")
    port = next(port for port in range(32001, 32999) if not port_taken(port))

    @contextmanager
    def start() -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
        process = subprocess.Popen([sys.executable, "-c", SERVER, str(folder), str(port)])
        url = f"https://localhost:{port}"

        def answers(_: object = None) -> bool:
            assert process.poll() is None, "the server ended"
            try:
                return requests.get(f"{url}/_health", verify=str(storage.ca), timeout=20).ok
            except requests.ConnectionError:
                return False

        try:
            until(answers, bool, 60)
            yield url, process
        finally:
            process.kill()
            process.wait(20)

    return start


@pytest.fixture
def job(code: Path, empty_environment: Environment) -> Callable[..., Command]:
    def build(name: str, run: str) -> Command:
        out = {"o": Output(type="uri_folder", path=f"azureml://datastores/lake/paths/t/{name}")}
        return command(name=name, command=run, code=str(code), environment=empty_environment, outputs=out)

    return build


def test_a_killed_stand_in_finds_its_jobs_again(
    serve: Callable, connect: Callable[[str], MLClient], job, lake: ContainerClient, tmp_path: Path, wait_for, until, processes
) -> None:
    gate, starts, name = tmp_path / "gate", tmp_path / "starts", f"restart-{os.getpid()}"
    run = f"echo first; echo start >> {starts}; until [ -e {gate} ]; do sleep 0.1; done; echo second; echo made > ${{{{outputs.o}}}}/it"
    mark = f"sleep 7{os.getpid()}"
    with serve() as (url, process):
        ml = connect(url)
        ml.jobs.create_or_update(job(name, run))
        ml.jobs.create_or_update(job(f"{name}-b", mark))
        wait_for(ml, name, "Running")
        wait_for(ml, f"{name}-b", "Running")
        ml.jobs.create_or_update(job(f"{name}-c", f"echo c >> {starts}"))
        until(starts.exists, bool)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    assert processes(mark), "the job outlives the stand-in"
    with serve() as (url, _):
        ml = connect(url)
        assert [ml.jobs.get(f"{name}{which}").status for which in ("", "-b")] == ["Running", "Running"]
        ml.jobs.begin_cancel(f"{name}-b")
        assert wait_for(ml, f"{name}-b") == "Canceled"
        assert processes(mark) == []
        gate.touch()
        assert wait_for(ml, name) == "Completed"
        assert wait_for(ml, f"{name}-c") == "Completed"
    assert sorted(starts.read_text().split()) == ["c", "start"], "each command ran once"
    assert lake.download_blob(f"t/{name}/it").readall() == b"made\n"


def test_a_job_whose_keeper_is_killed_fails_and_leaves_nothing(
    serve: Callable, connect: Callable[[str], MLClient], job, wait_for, processes, tmp_path: Path, until
) -> None:
    mark, name = f"sleep 8{os.getpid()}", f"lost-{os.getpid()}"
    with serve() as (url, _):
        ml = connect(url)
        ml.jobs.create_or_update(job(name, f"setsid {mark} & {mark}; true"))
        until(lambda: processes(mark), lambda found: len(found) == 2)
        keeper = next(int(p.parent.name) for p in Path("/proc").glob("[0-9]*/cmdline") if _is_keeper(p, name))
        os.kill(keeper, signal.SIGKILL)
        assert wait_for(ml, name) == "Failed"
        assert processes(mark) == []


def _is_keeper(cmdline: Path, name: str) -> bool:
    try:
        said = cmdline.read_bytes()
    except OSError:
        return False
    return b"keeper.py" in said and said.rstrip(b"\0").endswith(name.encode())
