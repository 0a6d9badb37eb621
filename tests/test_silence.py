"""No library of the project calls home. Each part runs by itself, and every address that it asks for is heard.

An attempt counts, not its success: these tests say the same with a network and without one.
"""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from include.demo import airflow
from include.settings import ROOT
from include.standin import connections
from include.standin.home import Home, free_port_base

MODEL = ROOT / "tests" / "include" / "scoring" / "model"
RECORD = {"turbine": "R80711", "time": "2015-01-01T00:00:00Z", "wind_speed_ms": 7.0, "power_kw": 700.0}


def _load(file: Path):
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


listening = _load(Path(__file__).parent / "silence" / "listening.py")
training_job = _load(Path(__file__).parent / "training_job.py")
TRACED = listening.strace() is not None
needs_strace = pytest.mark.skipif(not TRACED, reason="strace is not here, or may not trace")
BY = [
    pytest.param(False, id="audit"),
    pytest.param(True, id="strace", marks=needs_strace),
]

CONNECT = "import socket; s = socket.socket(); s.settimeout(0.2); s.connect(('203.0.113.7', 443))"
LOUD = {
    "address": CONNECT,
    "datagram": "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b'x', ('203.0.113.7', 443))",
    "address6": "import socket; s = socket.socket(socket.AF_INET6); s.settimeout(0.2); s.connect(('2001:db8::7', 443))",
    "name": "import socket; socket.getaddrinfo('home.example.invalid', 443)",
    "child": f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CONNECT!r}])",
}
HERE = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(("localhost", server.getsockname()[1]))
socket.getfqdn()
"""
HEARD = {"address6": "2001:db8::7 443", "name": "home.example.invalid name"}

PARTS = {
    "onnxruntime": f"""
import onnxruntime
session = onnxruntime.InferenceSession({str(MODEL / "model.onnx")!r}, providers=["CPUExecutionProvider"])
given = session.get_inputs()[0]
session.run(None, {{given.name: [[0.0] * given.shape[1]]}})
print("worked", given.name)
""",
    "great_expectations": """
from datetime import datetime, timezone
import pandas as pd
from edgeloop.validation import Checks
from include import workloads
from include.workloads.schema import DAY, TIME_DAY
about = workloads.load("wind_power")
row = {column.name: 1.0 for column in about.columns} | {"turbine": "R80711", "time": datetime(2014, 1, 1, tzinfo=timezone.utc)}
checks = Checks(about, about.sites[0])
bad = checks.run(pd.DataFrame([row | {DAY: "2014-01-01", TIME_DAY: "2014-01-01"}]))
print("worked", bad, len(checks.report()))
""",
    "airflow version": "from airflow.__main__ import main; import sys; sys.argv = ['airflow', 'version']; main(); print('worked')",
    "airflow dags": f"""
import runpy
from pathlib import Path
found = [dag for file in sorted(Path({str(ROOT / "dags")!r}).glob("*.py")) for dag in runpy.run_path(str(file))["wind_power"].tasks]
print("worked", len(found))
""",
    "azure-ai-ml": """
from edgeloop.hooks.machine_learning import MachineLearningHook
print("worked", MachineLearningHook().ask(lambda client: client.workspace_name))
""",
    "azure-storage": """
from azure.core.exceptions import ServiceRequestError
from edgeloop.hooks.storage import StorageHook
hook = StorageHook("edgeloop_lake")
try:
    hook.blobs.get_service_properties(retry_total=0)
except ServiceRequestError as nobody:
    print("worked", nobody)
""",
    "azure-mgmt-datafactory": """
from azure.core.exceptions import AzureError
from edgeloop.hooks.data_factory import DataFactoryHook
print("worked", DataFactoryHook().client)
""",
    "matplotlib": """
from edgeloop.figures import days_svg
from include.domain.publication import Aggregate
day = Aggregate("north", "2015-01-01", 144, 1, -3.0, 10.0, 9.0, 0.1)
print("worked", len(days_svg("north", [day])))
""",
    "scorer": f"""
import json, os, subprocess, sys, time, urllib.request
from include.standin.home import Home
port = Home.open().port("airflow")
said = {{**os.environ, "HOST": "127.0.0.1", "PORT": str(port), "MODEL_DIR": {str(MODEL)!r}, "EDGELOOP_WORKLOAD": "wind_power"}}
said |= {{"EDGELOOP_SITE": "north", "EDGELOOP_JURISDICTION": "FR", "EDGELOOP_OUTBOX": os.path.abspath("outbox.db")}}
scorer = subprocess.Popen([sys.executable, "-m", "include.scoring"], env=said)
end = time.monotonic() + 60
while True:
    try:
        body = json.dumps({{"records": [{RECORD!r}]}}).encode()
        asked = urllib.request.Request(f"http://127.0.0.1:{{port}}/score", body, {{"Content-Type": "application/json"}})
        print("worked", urllib.request.urlopen(asked).read())
        break
    except OSError:
        assert scorer.poll() is None and time.monotonic() < end
        time.sleep(0.1)
scorer.terminate()
scorer.wait(30)
""",
}
AZURITE = """
from include.standin.home import Home
from include.standin.storage.azurite import Azurite
from include.standin.storage.running import azurite_process
with azurite_process(Azurite(Home.open())) as process:
    print("worked", process.pid)
"""
TRAINING = """
import include.training.__main__, include.training.run, include.training.artefacts, include.workloads.wind_power.train
import numpy, onnxruntime, sklearn.linear_model, skl2onnx
model = sklearn.linear_model.LinearRegression().fit(numpy.eye(3), numpy.arange(3.0))
found = skl2onnx.to_onnx(model, numpy.eye(3, dtype=numpy.float32))
onnxruntime.InferenceSession(found.SerializeToString(), providers=["CPUExecutionProvider"])
print("worked")
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What Airflow's processes of an embedded cloud have, and nothing else: no variable of this session helps a library to be silent."""
    home = Home.create(tmp_path_factory.mktemp("silent"), free_port_base(4))
    connections.write(home, connections.connections(home))
    inherited = {"PATH": os.environ["PATH"], "HOME": str(home.folder("user")), "LANG": "C.UTF-8"}
    told = {name: value for name, value in airflow.environment(home).items() if name not in os.environ or name.startswith("AIRFLOW")}
    return {**inherited, **told, "EDGELOOP_HOME": str(home.path), "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "plugins")))}


@pytest.mark.parametrize("traced", BY)
@pytest.mark.parametrize("name", LOUD)
def test_what_is_not_silent_is_heard(name: str, traced: bool, tmp_path: Path) -> None:
    """With a network or without one, with IPv6 or without: the attempt is what is heard, and it may fail as it likes."""
    program = f"try:\n exec({LOUD[name]!r})\nexcept OSError as error:\n print(error)"
    heard, said = listening.listen([sys.executable, "-c", program], {"PATH": os.environ["PATH"]}, tmp_path, traced=traced)
    if name == "address6" and "not supported" in said:
        pytest.skip("this machine has no IPv6")
    assert HEARD.get(name, "203.0.113.7 443") in heard, said


@needs_strace
def test_a_program_in_another_language_is_heard(tmp_path: Path) -> None:
    """The audit hook is blind to it."""
    program = "exec 3<>/dev/tcp/203.0.113.7/443 || true"
    heard, _ = listening.listen(["timeout", "-s", "KILL", "2", "bash", "-c", program], {"PATH": os.environ["PATH"]}, tmp_path, traced=True)
    assert heard == {"203.0.113.7 443"}


def test_this_machine_is_no_other_machine(tmp_path: Path) -> None:
    heard, _ = listening.listen([sys.executable, "-c", HERE], {"PATH": os.environ["PATH"]}, tmp_path, traced=TRACED)
    assert heard == set()


@pytest.mark.parametrize("part", PARTS)
def test_it_is_silent(part: str, environment: dict[str, str], tmp_path: Path) -> None:
    _is_silent([sys.executable, "-c", PARTS[part]], environment, tmp_path)


def test_the_training_environment_is_silent(environment: dict[str, str], tmp_path: Path) -> None:
    plain = {"PATH": "/usr/bin:/bin", "HOME": environment["HOME"], "PYTHONPATH": str(ROOT)}
    _is_silent([str(training_job.python()), "-c", TRAINING], plain, tmp_path)


@needs_strace
def test_azurite_is_silent(environment: dict[str, str], tmp_path: Path) -> None:
    _is_silent([sys.executable, "-c", AZURITE], environment, tmp_path)


def _is_silent(command: list[str], environment: dict[str, str], folder: Path) -> None:
    heard, said = listening.listen(command, environment, folder, traced=TRACED)
    assert "worked" in said
    assert heard == set()
