"""The site's two images as an engine has them (EDGELOOP_TEST_DOCKER, EDGELOOP_TEST_SCORER_IMAGE, EDGELOOP_TEST_ROLLOUT_IMAGE)."""

import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.include.rollout.site import MODEL, golden
from tests.include.standin.node.site import wait

pytestmark = [pytest.mark.engine, pytest.mark.skipif("EDGELOOP_TEST_DOCKER" not in os.environ, reason="EDGELOOP_TEST_DOCKER is not set")]
NAMES = ("scorer", "rollout")
LARGEST_SCORER = 200_000_000
"""Bytes, compressed."""
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none")
TOOLS = ("pip", "pip3", "gcc", "cc", "g++", "ld", "make", "curl", "git")
SECRET_NAMES = re.compile(
    r"(^|/)(\.netrc|\.pypirc|\.pgpass|\.env|\.git-credentials|id_[a-z0-9]+|.*\.(key|p12|pfx)|.*kubeconfig.*|\.docker/config\.json)$"
)
SECRET_TEXT = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|AccountKey=[A-Za-z0-9+/]{40}")
LOGIN_IN_URL = re.compile(rb"[a-z]+://[^/\s:@]+:[^/\s:@]+@")
"""In settings; documentation is full of examples."""
PROGRAM = (".py", ".pyc", ".so", ".js")
"""Not searched for secrets: they have the words that they look for, and libraries are large."""


def docker(*arguments: str, ok: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) is ok, f"docker {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def named(name: str) -> str:
    variable = f"EDGELOOP_TEST_{name.upper()}_IMAGE"
    return os.environ.get(variable) or pytest.skip(f"{variable} is not set")


@pytest.fixture(params=NAMES)
def image(request: pytest.FixtureRequest) -> str:
    return named(request.param)


def python(image: str, text: str, *options: str) -> str:
    return docker("run", "--rm", *HARDENED, *options, "--entrypoint", "python3", image, "-c", text)


def settings(image: str) -> dict[str, Any]:
    return dict(json.loads(docker("image", "inspect", image))[0]["Config"])


def test_it_is_nobody_in_particular(image: str) -> None:
    assert settings(image)["User"] == "10001:10001"
    assert python(image, "import os; print(os.getuid(), os.getgid())").split() == ["10001", "10001"]


def test_it_has_no_means_to_install_or_build(image: str) -> None:
    found = python(image, f"import shutil; print([one for one in {TOOLS} if shutil.which(one)])")
    assert found.strip() == "[]"
    assert "No module named pip" in docker("run", "--rm", "--entrypoint", "python3", image, "-m", "pip", ok=False)
    assert "No module named" in docker("run", "--rm", "--entrypoint", "python3", image, "-m", "ensurepip", ok=False)


def test_nobody_may_change_its_program(image: str) -> None:
    """As its own user without a read-only root: only /data and the folders for temporary files are its own."""
    text = (
        "import os; [print(one) for one, _, _ in os.walk('/') if not one.startswith(('/proc', '/sys', '/dev')) and os.access(one, os.W_OK)]"
    )
    found = docker("run", "--rm", "--entrypoint", "python3", image, "-c", text).split()
    assert set(found) <= {"/tmp", "/var/tmp", "/run/lock", "/data"}


@pytest.fixture(scope="module", params=NAMES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    file = tmp_path_factory.mktemp("saved") / f"{request.param}.tar"
    docker("save", named(request.param), "-o", str(file))
    yield file
    file.unlink()


def members(saved: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Every file of every layer, those that a later layer hides too."""
    with tarfile.open(saved) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        for name in json.load(manifest)[0]["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                for member in layer:
                    yield layer, member


def secretive(layer: tarfile.TarFile, member: tarfile.TarInfo) -> bool:
    if not member.isfile() or member.name.endswith(PROGRAM) or ".so." in member.name:
        return False
    file = layer.extractfile(member)
    assert file is not None
    content = file.read(1 << 20)
    if member.name.startswith("etc/") and LOGIN_IN_URL.search(content):
        return True
    return bool(SECRET_NAMES.search(member.name) or SECRET_TEXT.search(content))


def test_no_layer_holds_a_secret(saved: Path) -> None:
    found, seen = [], 0
    for layer, member in members(saved):
        seen += 1
        if secretive(layer, member):
            found.append(member.name)
    assert seen > 1000
    assert found == []


def test_what_is_added_to_the_base_was_made_at_no_time(saved: Path) -> None:
    """The moment of the build is in nothing that we add; modules are compiled by their hash (PEP 552), not by a time."""
    times, kinds = set(), set()
    for layer, member in members(saved):
        if member.name.startswith(("opt/", "app/")):
            times.add(member.mtime)
            if member.name.endswith(".pyc"):
                kinds.add(layer.extractfile(member).read(8)[4:])
    assert times == {315532800}
    assert kinds == {b"\x01\0\0\0"}


def test_the_scorer_is_small(saved: Path) -> None:
    if saved.stem != "scorer":
        pytest.skip("only the scorer has a bound")
    with subprocess.Popen(["gzip", "-1", "-c", str(saved)], stdout=subprocess.PIPE) as packing:  # a registry packs it tighter
        assert packing.stdout is not None
        size = sum(map(len, iter(lambda: packing.stdout.read(1 << 20), b"")))
    assert packing.returncode == 0
    assert 0 < size <= LARGEST_SCORER


ASK = """
import json, urllib.request
record = {'turbine': 'R80711', 'wind_speed_ms': 8.0}
body = json.dumps({'records': [record]}).encode()
asked = urllib.request.Request('http://127.0.0.1:8080/score', body, {'Content-Type': 'application/json'})
print(json.load(urllib.request.urlopen(asked))['scores'][0]['expected'])
print(json.load(urllib.request.urlopen('http://127.0.0.1:8080/outbox'))['recorded'])
"""


def test_the_scorer_answers_and_records_on_a_read_only_root() -> None:
    environment = {"EDGELOOP_WORKLOAD": "wind_power", "EDGELOOP_SITE": "north", "EDGELOOP_JURISDICTION": "FR"}
    said = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
    volumes = ("-v", f"{MODEL}:/model:ro", "-v", "/data")
    container = docker("run", "-d", *HARDENED, *volumes, *said, named("scorer")).strip()
    try:
        answer = wait("an answer", lambda: docker("exec", container, "python3", "-c", ASK).split(), 60)
        assert answer == ["800.0", "1"]
    finally:
        log = docker("logs", container)
        docker("rm", "--force", "--volumes", container)
    assert "Traceback" not in log


def test_the_rollout_renders_and_reads_golden_rows_on_a_read_only_root(tmp_path: Path) -> None:
    (tmp_path / "golden.parquet").write_bytes(golden())
    tmp_path.chmod(0o755)
    text = (
        "from include.rollout import chart, release; "
        "print([one['kind'] for one in chart.render('site', 'n', {'scorer': {'A': 'b'}})]); "
        "print(len(release._rows(open('/golden/golden.parquet', 'rb').read())))"
    )
    kinds, rows = python(named("rollout"), text, "-v", f"{tmp_path}:/golden:ro").splitlines()
    assert "ValidatingAdmissionPolicy" in kinds
    assert rows == "40"


def test_the_rollout_says_what_it_lacks() -> None:
    said = docker("run", "--rm", *HARDENED, named("rollout"), "canary", ok=False)
    assert "EDGELOOP_WORKLOAD, EDGELOOP_SITE, EDGELOOP_NAMESPACE, EDGELOOP_RELEASE, EDGELOOP_VALUES not set" in said
