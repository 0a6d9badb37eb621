"""An unmodified kubectl (EDGELOOP_TEST_KUBECTL) says the same of the stand-in and of a real cluster (EDGELOOP_TEST_KUBECONFIG)."""

import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.standin import kubernetes as standin
from include.standin.home import Home, free_port_base
from include.standin.kubernetes import kubeconfig
from include.standin.serving import Background, create_app

KUBECTL = os.environ.get("EDGELOOP_TEST_KUBECTL", "")
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(not KUBECTL, reason="EDGELOOP_TEST_KUBECTL names no kubectl")]


class Kubectl:
    """Runs kubectl in a namespace of its own; what it says with the namespace's name and times masked."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.namespace = f"kubectl-{uuid.uuid4().hex[:8]}"
        self._command = [KUBECTL, "--kubeconfig", str(config), "--cache-dir", str(folder / "cache"), "--namespace", self.namespace]

    def __call__(self, line: str, body: Any = None) -> tuple[int, list[str]]:
        text = None if body is None else json.dumps(body)
        done = subprocess.run([*self._command, *line.split()], input=text, capture_output=True, text=True, timeout=90)
        said = (done.stdout + done.stderr).replace(self.namespace, "NAMESPACE")
        return done.returncode, [re.sub(r"\s+", " ", row).strip() for row in said.splitlines() if row.strip()]


@pytest.fixture(params=["stand-in", "cluster"])
def kubectl(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kubectl]:
    if request.param == "cluster":
        if "EDGELOOP_TEST_KUBECONFIG" not in os.environ:
            pytest.skip("EDGELOOP_TEST_KUBECONFIG is not set")
        yield from _in_namespace(Path(os.environ["EDGELOOP_TEST_KUBECONFIG"]), tmp_path)
        return
    home = Home.create(tmp_path / "home", free_port_base(1), sites=["north"])
    with Background(create_app(home, standin.create(home, "north")), home, home.port("kubernetes-north")):
        yield from _in_namespace(kubeconfig.write(home, "north"), tmp_path)


def _in_namespace(config: Path, folder: Path) -> Iterator[Kubectl]:
    found = Kubectl(config, folder)
    assert found(f"create namespace {found.namespace}")[0] == 0
    try:
        yield found
    finally:
        found(f"delete namespace {found.namespace} --wait=false")


def deployment(image: str, **more: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "d"}}, "template": template} | more
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"selector": {"app": "d"}, "ports": [{"port": 80}]}}
IMAGE = "get deployment d -o jsonpath={.spec.template.spec.containers[0].image}"
STEPS: list[tuple[str, Any]] = [
    ("apply -f -", deployment("one")),
    ("apply -f -", deployment("one")),
    ("rollout status deployment/d --timeout=30s", None),
    ("apply --server-side -f -", deployment("two")),
    ("rollout status deployment/d --timeout=30s", None),
    ("apply --server-side --field-manager=other -f -", deployment("three")),
    ("apply --server-side --field-manager=other --force-conflicts -f -", deployment("three")),
    (IMAGE, None),
    ("rollout status deployment/d --timeout=30s", None),
    ("rollout undo deployment/d", None),
    (IMAGE, None),
    ("set image deployment/d c=four", None),
    ("scale deployment/d --replicas=0 --current-replicas=5", None),
    ("label deployment/d tier=edge", None),
    ("get deployments -l tier=edge -o name", None),
    ("get deployments -l tier!=edge -o name", None),
    ('patch deployment d --type=json -p [{"op":"test","path":"/spec/replicas","value":7}]', None),
    ("apply -f - --dry-run=server", SERVICE),
    ("get service s", None),
    ("apply -f -", SERVICE),
    ("get service s -o jsonpath={.spec.type}/{.spec.ports[0].targetPort}", None),
    ("create -f -", deployment("five", replikas=1)),
    ("create configmap m --from-literal=a=b", None),
    ("create configmap m --from-literal=a=b", None),
    ("create secret generic s --from-literal=a=b", None),
    ("get secret s -o jsonpath={.data.a}", None),
    ("create serviceaccount a", None),
    ("create role r --verb=get --resource=configmaps", None),
    ("create rolebinding r --role=r --serviceaccount=NAMESPACE:a", None),
    ("auth can-i get configmaps --as system:serviceaccount:NAMESPACE:a", None),
    ("auth can-i delete configmaps --as system:serviceaccount:NAMESPACE:a", None),
    ("get secrets --as system:serviceaccount:NAMESPACE:a", None),
    ("get deployment nothing", None),
    ("get nonsense", None),
    ("delete deployment d --timeout=60s", None),
    ("wait --for=delete deployment/d --timeout=30s", None),
]
EXPECTED = Path(__file__).with_name("kubectl.expected.json")
"""What the real cluster said, step by step."""


def test_kubectl_says_the_same(kubectl: Kubectl) -> None:
    said = []
    for line, body in STEPS:
        code, rows = kubectl(line.replace("NAMESPACE", kubectl.namespace), body)
        said.append({"step": line, "code": code, "says": rows})
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    assert [one["step"] for one in expected] == [one["step"] for one in said]
    for found, wanted in zip(said, expected, strict=True):
        assert found == wanted
