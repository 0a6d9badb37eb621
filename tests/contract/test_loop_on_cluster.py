"""The demo with both sites on a real cluster: two namespaces under Pod Security `restricted`, real images, a registry with login.

Named by EDGELOOP_TEST_KUBECONFIG (an administrator's), EDGELOOP_TEST_HOST_ADDRESS (of this machine, as pods reach it),
EDGELOOP_TEST_REGISTRY and EDGELOOP_TEST_REGISTRY_{USER,PASSWORD,CA} with the images EDGELOOP_TEST_RELEASE (scorer's base) and
EDGELOOP_TEST_ROLLOUT; EDGELOOP_TEST_TOOLS has crane and cosign. EDGELOOP_TEST_CRASH_NODE: a command that kills the node's container runtime
and starts it again. The node's disk is this machine's: the outboxes' volumes are folders of it.
"""

import contextlib
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from include.demo.world import World
from include.domain import naming
from include.oci import copy
from include.oci.client import Registry
from include.oci.reference import Reference
from include.standin import connections
from include.standin.home import Home, free_port_base
from include.workloads import load

ROOT = Path(__file__).parents[2]
NAMED = ("KUBECONFIG", "HOST_ADDRESS", "REGISTRY", "REGISTRY_USER", "REGISTRY_PASSWORD", "REGISTRY_CA", "RELEASE", "ROLLOUT", "TOOLS")
WORKLOAD = "wind_power"
SITES = {"north": "edgeloop-north", "south": "edgeloop-south"}
STORAGE_CLASS = "edgeloop-contract"

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]


@dataclass(frozen=True)
class Loop:
    """An embedded cloud whose sites are elsewhere, and what was named to the test."""

    home: Home
    named: dict[str, str]
    environment: dict[str, str]

    @property
    def core(self) -> client.CoreV1Api:
        return client.CoreV1Api(config.new_client_from_config(self.named["KUBECONFIG"]))

    def run(self, *words: str, within: int = 1800) -> str:
        """A command of the checkout; it must end well."""
        command = [sys.executable, "-m", *words]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=within, check=False)
        if done.returncode:
            pytest.fail(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-8000:]}\n{done.stderr[-2000:]}")
        return done.stdout

    def pods(self, site: str, labels: str) -> list[Any]:
        """The pods of a site that run."""
        found = self.core.list_namespaced_pod(SITES[site], label_selector=labels).items
        return [pod for pod in found if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp]

    def kill(self, pod: Any) -> None:
        """Remove a pod at once."""
        self.core.delete_namespaced_pod(pod.metadata.name, pod.metadata.namespace, grace_period_seconds=0)


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    named = {name: os.environ.get(f"EDGELOOP_TEST_{name}", "") for name in NAMED}
    if missing := [f"EDGELOOP_TEST_{name}" for name, value in named.items() if not value]:
        pytest.skip(f"{', '.join(missing)} not set")
    folder = tmp_path_factory.mktemp("loop")
    own = folder / "connections.yaml"
    own.write_text(yaml.safe_dump(_connections(named)), encoding="utf-8")
    place = {
        "EDGELOOP_BIND": named["HOST_ADDRESS"],
        "EDGELOOP_HOSTS": named["HOST_ADDRESS"],
        "EDGELOOP_SITE_KUBECONFIG": named["KUBECONFIG"],
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**place, "EDGELOOP_HOME": str(folder / "home"), "EDGELOOP_CONNECTIONS": str(own)}.items():
            patch.setenv(name, value)
        home = Home.create(folder / "home", free_port_base(4))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "plugins")))}
    found = Loop(home, named, environment)
    _clear(found.core)
    with _outboxes(found.core, folder / "outboxes"):
        try:
            yield found
        finally:
            found.run("include.standin", "down")
            _clear(found.core)


def _connections(named: dict[str, str]) -> dict[str, Any]:
    """What differs from an embedded site: the registry, its images, and where outboxes lie."""
    values = {"values": {"outbox": {"storageClassName": STORAGE_CLASS, "size": "1Gi"}}}
    login = {"host": named["REGISTRY"], "login": named["REGISTRY_USER"], "password": named["REGISTRY_PASSWORD"]}
    return {
        "edgeloop_candidates": {"extra": {"scoring_base": named["RELEASE"]}},
        "edgeloop_releases": {**login, "extra": {"ca_bundle": named["REGISTRY_CA"], "rollout_image": named["ROLLOUT"]}},
        **{f"edgeloop_site_{site}": {"extra": values} for site in SITES},
    }


def _clear(core: client.CoreV1Api) -> None:
    for namespace in SITES.values():
        with contextlib.suppress(ApiException):
            core.delete_namespace(namespace)
    end = time.monotonic() + 180
    while any(one.metadata.name in SITES.values() for one in core.list_namespace().items):
        assert time.monotonic() < end, "the sites' namespaces do not go away"
        time.sleep(1)


@contextlib.contextmanager
def _outboxes(core: client.CoreV1Api, folder: Path) -> Iterator[None]:
    """A volume for each site, as the administrator of a cluster without dynamic provisioning gives them."""
    names = [f"{namespace}-outbox" for namespace in SITES.values()]
    for name in names:
        place = folder / name
        place.mkdir(parents=True)
        os.chown(place, 10001, 10001)
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": STORAGE_CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(place), "type": "Directory"},
        }
        with contextlib.suppress(ApiException):
            core.delete_persistent_volume(name)
        core.create_persistent_volume({"metadata": {"name": name}, "spec": spec})
    yield
    for name in names:
        with contextlib.suppress(ApiException):
            core.delete_persistent_volume(name)


@pytest.fixture(scope="module")
def told(loop: Loop) -> str:
    """The demo's words, of a run in which a rollout's pod, a scorer's pod and the node's container runtime were killed."""
    loop.run("include.standin", "up")
    _bring_base(loop)
    over = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        killed = [pool.submit(kill, loop, over) for kill in (_kill_rollout, _kill_scorer, _crash_node)]
        try:
            said = loop.run("include.demo", "--once")
        finally:
            over.set()
        assert all(one.result(30) for one in killed), "something was never there to be killed"
    return said


def _kill_rollout(loop: Loop, over: threading.Event) -> bool:
    """The first wave's canary step."""
    while not over.wait(0.5):
        if found := loop.pods("north", "edgeloop.io/step=canary"):
            loop.kill(found[0])
            return True
    return False


def _kill_scorer(loop: Loop, over: threading.Event) -> bool:
    """While users send it January."""
    scorer = f"app.kubernetes.io/name={naming.scorer(WORKLOAD)}"
    while not over.wait(0.2):
        with contextlib.suppress(httpx.HTTPError, ApiException):
            edge = World(connections.read(loop.home), load(WORKLOAD)).edge("north")
            if httpx.get(f"{edge.url}/outbox", timeout=5).raise_for_status().json()["recorded"]:
                loop.kill(loop.pods("north", scorer)[0])
                return True
    return False


def _crash_node(loop: Loop, over: threading.Event) -> bool:
    """While the second wave's site is rolled out to."""
    command = os.environ.get("EDGELOOP_TEST_CRASH_NODE")
    while command and not over.wait(0.5):
        if loop.pods("south", "edgeloop.io/step"):
            subprocess.run(shlex.split(command), capture_output=True, timeout=300, check=True)
            return True
    return not command


def _bring_base(loop: Loop) -> None:
    """The scorer's base from the real registry into the embedded one of candidates."""
    known, base = loop.home.identity, Reference.parse(loop.named["RELEASE"])
    said = loop.named
    with (
        Registry(said["REGISTRY"], said["REGISTRY_USER"], said["REGISTRY_PASSWORD"], said["REGISTRY_CA"]) as source,
        Registry(loop.home.url("candidates"), known.registry_user, known.registry_password, loop.home.ca) as target,
    ):
        digest = source.resolve(base.repository, base.target)
        assert digest, f"{base} is not in the registry"
        copy.copy(source, base.repository, digest, target, base.repository, base.target)


def test_the_loop_ends_as_with_embedded_sites(told: str) -> None:
    print(told)
    assert "FAILS" not in told
    assert told.count("holds ") == 7


def test_the_second_time_picks_up(loop: Loop, told: str) -> None:
    again = loop.run("include.demo", "--once")
    assert "both sites serve it already" in again
    assert "FAILS" not in again


@pytest.mark.parametrize("site", SITES)
def test_no_pod_violated_the_namespaces_security(loop: Loop, told: str, site: str) -> None:
    namespace = loop.core.read_namespace(SITES[site])
    assert namespace.metadata.labels["pod-security.kubernetes.io/enforce"] == "restricted"
    events = loop.core.list_namespaced_event(SITES[site]).items
    assert not [event.message for event in events if "violat" in (event.message or "").lower() or event.reason == "FailedCreate"]


@pytest.mark.parametrize("site", SITES)
def test_the_scorer_was_pulled_by_digest_from_the_registry_with_login(loop: Loop, told: str, site: str) -> None:
    (pod,) = loop.pods(site, f"app.kubernetes.io/name={naming.scorer(WORKLOAD)}")
    assert pod.spec.containers[0].image.startswith(
        f"{loop.named['REGISTRY'].removeprefix('https://')}/{naming.repository(WORKLOAD)}@sha256:"
    )
    assert [secret.name for secret in pod.spec.image_pull_secrets] == ["edgeloop-pull"]
    ready = next(one.last_transition_time for one in pod.status.conditions if one.type == "Ready")
    print(f"{site}: ready {(ready - pod.metadata.creation_timestamp).total_seconds():.0f} s after the pod was made")


def test_the_public_clients_accept_the_release(loop: Loop, told: str, tmp_path: Path) -> None:
    host = loop.named["REGISTRY"].removeprefix("https://")
    (pod, *_) = loop.pods("north", f"app.kubernetes.io/name={naming.scorer(WORKLOAD)}")
    release, public = pod.spec.containers[0].image, loop.home.path / "signing" / "cosign.pub"
    run = _client(loop, tmp_path)
    run(
        "crane", "auth", "login", host, "--username", loop.named["REGISTRY_USER"], "--password-stdin", stdin=loop.named["REGISTRY_PASSWORD"]
    )
    run("crane", "validate", "--remote", release)
    run("crane", "validate", "--remote", _candidate(loop, run, release))
    verify = ("cosign", "verify", "--key", str(public), "--insecure-ignore-tlog=true")
    assert json.loads(run(*verify, release))
    changed = run("crane", "mutate", "--label", "changed=1", "--tag", f"{release.partition('@')[0]}:changed", release).strip()
    assert run(*verify, changed, refused=True)


def _candidate(loop: Loop, run: Any, release: str) -> str:
    """The same image where it was pushed first, with the login of that registry."""
    known, host = loop.home.identity, loop.home.url("candidates").removeprefix("https://")
    run("crane", "auth", "login", host, "--username", known.registry_user, "--password-stdin", stdin=known.registry_password)
    return f"{host}/{release.partition('/')[2]}"


def _client(loop: Loop, folder: Path) -> Any:
    both = folder / "ca.pem"
    both.write_text(
        Path(loop.named["REGISTRY_CA"]).read_text(encoding="ascii") + loop.home.ca.read_text(encoding="ascii"), encoding="ascii"
    )
    environment = {"HOME": str(folder), "DOCKER_CONFIG": str(folder), "SSL_CERT_FILE": str(both), "PATH": os.environ["PATH"]}

    def run(name: str, *words: str, stdin: str | None = None, refused: bool = False) -> str:
        command = [str(Path(loop.named["TOOLS"]) / name), *words]
        done = subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode != 0) == refused, done.stderr[-2000:]
        return done.stderr if refused else done.stdout

    return run
