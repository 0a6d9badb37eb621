"""An unmodified kubectl (EDGELOOP_TEST_KUBECTL) against the API server."""

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

KUBECTL = os.environ.get("EDGELOOP_TEST_KUBECTL", "")
pytestmark = pytest.mark.skipif(not KUBECTL, reason="needs kubectl, named by EDGELOOP_TEST_KUBECTL")
Run = Callable[..., str]


@pytest.fixture
def kubectl(admin: str) -> Run:
    def run(*arguments: str, body: Any = None, fails: bool = False) -> str:
        text = json.dumps(body) if body is not None else None
        command = [KUBECTL, "--kubeconfig", admin, "--cache-dir", f"{admin}.cache", *arguments]
        ended = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        assert (ended.returncode != 0) is fails, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    return run


def deployment(image: str) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "d"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def test_rollout(kubectl: Run, node: None) -> None:
    kubectl("create", "namespace", "kubectl")
    here = ("-n", "kubectl")
    assert "created" in kubectl(*here, "apply", "-f", "-", body=deployment("one"))
    assert "successfully rolled out" in kubectl(*here, "rollout", "status", "deployment/d", "--timeout=30s")
    kubectl(*here, "set", "image", "deployment/d", "c=two")
    kubectl(*here, "rollout", "status", "deployment/d", "--timeout=30s")
    kubectl(*here, "rollout", "undo", "deployment/d")
    kubectl(*here, "rollout", "status", "deployment/d", "--timeout=30s")
    history = kubectl(*here, "rollout", "history", "deployment/d").split()
    assert history[-4:] == ["2", "<none>", "3", "<none>"]
    assert kubectl(*here, "get", "deployment", "d", "-o", "jsonpath={.spec.template.spec.containers[0].image}") == "one"
    kubectl(*here, "scale", "deployment/d", "--replicas=3")
    kubectl(*here, "wait", "deployment/d", "--for=jsonpath={.status.availableReplicas}=3", "--timeout=30s")
    assert "3/3" in kubectl(*here, "get", "deployment", "d")
    assert "ScalingReplicaSet" in kubectl(*here, "describe", "deployment", "d")
    assert "d-" in kubectl(*here, "logs", "deployment/d")
    assert "deleted" in kubectl("delete", "namespace", "kubectl", "--timeout=60s")


def test_typed_creates_are_read_though_they_are_protobuf(kubectl: Run) -> None:
    kubectl("create", "namespace", "typed")
    kubectl("-n", "typed", "create", "configmap", "m", "--from-literal=a=b")
    kubectl("-n", "typed", "create", "secret", "generic", "s", "--from-literal=a=b")
    kubectl("-n", "typed", "create", "serviceaccount", "a")
    kubectl("-n", "typed", "create", "role", "r", "--verb=get", "--resource=configmaps")
    kubectl("-n", "typed", "create", "rolebinding", "r", "--role=r", "--serviceaccount=typed:a")
    assert kubectl("-n", "typed", "get", "configmap", "m", "-o", "jsonpath={.data}") == '{"a":"b"}'
    assert kubectl("-n", "typed", "get", "secret", "s", "-o", "jsonpath={.data.a}") == "Yg=="
    account = ("--as", "system:serviceaccount:typed:a")
    assert kubectl("-n", "typed", "auth", "can-i", "get", "configmaps", *account).strip() == "yes"
    assert kubectl("-n", "default", "auth", "can-i", "get", "configmaps", *account, fails=True).strip().startswith("no")
    assert len(kubectl("-n", "typed", "create", "token", "a").split(".")) == 3


def test_mistakes_are_named(kubectl: Run) -> None:
    wrong = deployment("one")
    wrong["spec"]["replikas"] = 1
    assert 'unknown field "spec.replikas"' in kubectl("create", "-f", "-", body=wrong, fails=True)
    assert '"nothing" not found' in kubectl("get", "deployment", "nothing", fails=True)
    assert "FIELDS" in kubectl("explain", "deployment.spec.strategy")
    assert "deployments" in kubectl("api-resources")


def test_services_show_how_they_are_reached(kubectl: Run) -> None:
    kubectl("create", "namespace", "services")
    here = ("-n", "services")
    kubectl(*here, "create", "service", "nodeport", "outside", "--tcp=8080:80", "--node-port=30080")
    kubectl(*here, "create", "service", "loadbalancer", "waiting", "--tcp=8080")
    kubectl(*here, "create", "service", "externalname", "elsewhere", "--external-name=example.org")
    rows = {row[0]: row[1:5] for row in map(str.split, kubectl(*here, "get", "services").splitlines())}
    assert rows["outside"][0] == "NodePort"
    assert rows["outside"][2:] == ["<none>", "8080:30080/TCP"]
    assert rows["waiting"][2] == "<pending>"
    assert rows["elsewhere"] == ["ExternalName", "<none>", "example.org", "<none>"]
    assert "30080/TCP" in kubectl(*here, "describe", "service", "outside")
