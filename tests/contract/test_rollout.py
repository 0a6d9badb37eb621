"""One script of a site's life, on the stand-in and on a real cluster: set up, two releases, a bad one, a return, what is forbidden.

The real one is named by EDGELOOP_TEST_KUBECONFIG (an administrator's), the registry that it pulls from by EDGELOOP_TEST_REGISTRY and
EDGELOOP_TEST_REGISTRY_{USER,PASSWORD,CA}, and in it the two images of this checkout's Dockerfiles (`repository:tag`): the scorer's base by
EDGELOOP_TEST_RELEASE, the rollout program by EDGELOOP_TEST_ROLLOUT. Every step runs as Airflow runs it: a pod of the rollout image.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from edgeloop.operators.site_pod import SitePodOperator
from include.domain import naming
from include.oci.client import Registry
from include.oci.reference import Reference
from include.rollout import chart
from include.rollout.set_up import set_up
from include.standin import connections
from include.standin.home import Home
from include.standin.kubernetes import kubeconfig
from tests.include.rollout.conftest import embedded_site, standin_bench  # noqa: F401 - fixtures
from tests.include.rollout.site import VALUES, WORKLOAD, Bench, Releases, digest, hex_of
from tests.include.standin.node.site import wait

NAMED = ("KUBECONFIG", "REGISTRY", "REGISTRY_USER", "REGISTRY_PASSWORD", "REGISTRY_CA", "RELEASE", "ROLLOUT")
STABLE, CANARY = naming.scorer(WORKLOAD), naming.canary(WORKLOAD)
OWN = "edgeloop-contract"


@dataclass(frozen=True)
class Target:
    """A site that is set up, and Airflow's Connections for it."""

    bench: Bench
    connections: dict[str, Any]


@pytest.fixture(params=["stand-in", pytest.param("cluster", marks=pytest.mark.cluster)])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    if request.param == "stand-in":
        home: Home = request.getfixturevalue("embedded_site")
        bench: Bench = request.getfixturevalue("standin_bench")
        said = connections.connections(home)
        account = kubeconfig.write_service_account(home, "north", bench.namespace, "edgeloop-airflow").read_text()
        found = Target(bench, {"edgeloop_site_north": _cluster(account, bench.namespace), "edgeloop_releases": said["edgeloop_releases"]})
    else:
        found = _real(tmp_path)
    for name, said in found.connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(said))
    found.bench.clear()
    yield found
    found.bench.clear()


def _real(folder: Path) -> Target:
    said = {name: os.environ.get(f"EDGELOOP_TEST_{name}", "") for name in NAMED}
    missing = [f"EDGELOOP_TEST_{name}" for name, value in said.items() if not value]
    if missing:
        pytest.skip(f"{', '.join(missing)} not set")
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    registry = Registry(said["REGISTRY"], said["REGISTRY_USER"], said["REGISTRY_PASSWORD"], said["REGISTRY_CA"])
    values = {
        "registry": registry.host,
        "pull": {"username": said["REGISTRY_USER"], "password": said["REGISTRY_PASSWORD"]},
        "trust": {"publicKey": public.decode(), "ca": Path(said["REGISTRY_CA"]).read_text(encoding="utf-8")},
        "scorer": {"EDGELOOP_SITE": "north", "EDGELOOP_JURISDICTION": "FR"},
    }
    set_up(OWN, values, kubeconfig=said["KUBECONFIG"])
    releases = Releases(registry, registry, Reference.parse(said["RELEASE"]), key)
    accounts = {name: _account(Path(said["KUBECONFIG"]), name, folder) for name in ("edgeloop-rollout", "edgeloop-airflow")}
    bench = Bench(accounts["edgeloop-rollout"], Path(said["KUBECONFIG"]), releases, namespace=OWN)
    bench.values["outbox"] = {"claim": False, "size": "64Mi"}  # a cluster for tests has no storage class
    image = {"conn_type": "generic", "host": said["REGISTRY"], "extra": {"rollout_image": said["ROLLOUT"]}}
    site = _cluster(accounts["edgeloop-airflow"].read_text(), OWN)
    return Target(bench, {"edgeloop_site_north": site, "edgeloop_releases": image})


def _cluster(kube_config: str, namespace: str) -> dict[str, Any]:
    text = json.dumps(yaml.safe_load(kube_config))
    return {"conn_type": "kubernetes", "extra": {"kube_config": text, "namespace": namespace}}


def _account(admin: Path, name: str, folder: Path) -> Path:
    """A kubeconfig of the service account, with a token that the API server issued."""
    core = client.CoreV1Api(config.new_client_from_config(str(admin)))
    token = core.create_namespaced_service_account_token(name, OWN, {"spec": {"expirationSeconds": 3600}}).status.token
    said = yaml.safe_load(admin.read_text(encoding="utf-8"))
    said["users"] = [{"name": said["users"][0]["name"], "user": {"token": token}}]
    file = folder / f"{name}.kubeconfig"
    file.write_text(json.dumps(said), encoding="utf-8")
    return file


class Script:
    """Carries out steps as Airflow does, and keeps what came of each; images by their names in the script."""

    def __init__(self, target: Target) -> None:
        self.bench = target.bench
        self.names: dict[str, str] = {"": ""}
        self.outcome: dict[str, Any] = {}

    def release(self, name: str, **how: Any) -> str:
        image = self.bench.releases.make(name, **how)
        self.names[image] = name
        return image

    def step(self, name: str, step: str, release: str) -> None:
        values = yaml.safe_dump(self.bench.values)
        operator = SitePodOperator(task_id=step, step=step, workload=WORKLOAD, site="north", release=release, values=values)
        operator.execute(_context(step, name))
        state = self.bench.state
        assert state is not None
        self.outcome[f"{name}: {step}"] = {
            "verdict": state.verdict,
            "current": self.names[state.current],
            "previous": self.names[state.previous],
            "deployments": {one.metadata.name: self.names[_image(one)] for one in self.bench.deployments()},
            "approved": sorted(self.names[image] for image in self.names if image and hex_of(image) in self.bench.outcome()["approved"]),
        }

    def roll_out(self, name: str, release: str) -> None:
        for step in ("canary", "judge", "finish"):
            self.step(name, step, release)

    def refused(self, name: str, call: Any, *arguments: Any) -> None:
        with pytest.raises(ApiException) as refused:
            call(*arguments)
        self.outcome[name] = (refused.value.status, "not an approved digest" in str(refused.value.body))


def _image(deployment: Any) -> str:
    return str(deployment.spec.template.spec.containers[0].image)


def _context(task: str, run: str) -> Any:
    dag = SimpleNamespace(dag_id="contract", parent_dag=None, is_subdag=False)
    ti = SimpleNamespace(dag_id="contract", task_id=task, run_id=run, map_index=0, try_number=1, xcom_push=lambda **_: None)
    ti.task = SimpleNamespace(dag=dag)
    return {"ti": ti, "task_instance": ti, "dag": dag, "run_id": run, "task": ti.task, "dag_run": SimpleNamespace(run_id=run)}


def said(verdict: str | None, current: str, previous: str, deployments: dict[str, str], *approved: str) -> dict[str, Any]:
    return {"verdict": verdict, "current": current, "previous": previous, "deployments": deployments, "approved": list(approved)}


EXPECTED = {
    "unapproved: created": (403, True),
    "one: canary": said(None, "", "", {CANARY: "one"}, "one"),
    "one: judge": said("Successful", "", "", {CANARY: "one"}, "one"),
    "one: finish": said("Successful", "one", "", {STABLE: "one"}, "one"),
    "two: canary": said(None, "one", "", {STABLE: "one", CANARY: "two"}, "one", "two"),
    "two: judge": said("Successful", "one", "", {STABLE: "one", CANARY: "two"}, "one", "two"),
    "two: finish": said("Successful", "two", "one", {STABLE: "two"}, "one", "two"),
    "bad: canary": said(None, "two", "one", {STABLE: "two", CANARY: "bad"}, "bad", "one", "two"),
    "bad: judge": said("Failed", "two", "one", {STABLE: "two", CANARY: "bad"}, "bad", "one", "two"),
    "bad: finish": said("Failed", "two", "one", {STABLE: "two"}, "one", "two"),
    "bad: by hand": (403, True),
    "unsigned: canary": said("Failed", "two", "one", {STABLE: "two"}, "one", "two"),
    "back: roll-back": said("Successful", "one", "", {STABLE: "one"}, "one"),
    "back again: roll-back": said("Successful", "one", "", {STABLE: "one"}, "one"),
    "another namespace": (403, False),
    "the scorers' secret": (403, False),
}


@pytest.mark.timeout(600)  # a real node pulls the rollout image for minutes
def test_a_site_lives_the_same_life_on_both(target: Target) -> None:
    script = Script(target)
    bench = target.bench
    account = config.new_client_from_config(str(bench.kubeconfig))
    one, two = script.release("one"), script.release("two")
    _until_enforced(bench, one)
    script.refused("unapproved: created", client.AppsV1Api(bench.admin).create_namespaced_deployment, bench.namespace, _scorer(one))
    script.roll_out("one", one)
    assert bench.served() == digest(one)
    script.roll_out("two", two)
    assert bench.served() == digest(two)
    bad = script.release("bad", off=7.0)
    script.roll_out("bad", bad)
    assert bench.served() == digest(two)
    image = {"spec": {"template": {"spec": {"containers": [{"name": "scorer", "image": bad}]}}}}
    script.refused("bad: by hand", client.AppsV1Api(account).patch_namespaced_deployment, STABLE, bench.namespace, image)
    script.step("unsigned", "canary", script.release("unsigned", signed=None))
    script.step("back", "roll-back", two)
    assert bench.served() == digest(one)
    script.step("back again", "roll-back", two)
    script.refused("another namespace", client.AppsV1Api(account).list_namespaced_deployment, "default")
    script.refused("the scorers' secret", client.CoreV1Api(account).read_namespaced_secret, "edgeloop-site", bench.namespace)
    assert script.outcome == EXPECTED


def _scorer(image: str) -> dict[str, Any]:
    values = {key: value for key, value in VALUES.items() if key != "judge"} | {"name": STABLE, "workload": WORKLOAD, "image": image}
    return next(one for one in chart.render("scorer", OWN, values) if one["kind"] == "Deployment")


def _until_enforced(bench: Bench, image: str) -> None:
    """A real API server takes some seconds to see a policy that was made just now."""

    def refused() -> bool:
        try:
            bench.apps.create_namespaced_deployment(bench.namespace, _scorer(image), dry_run="All")
        except ApiException as error:
            return error.status == 403
        return False

    wait("the admission policy", refused, 30)
