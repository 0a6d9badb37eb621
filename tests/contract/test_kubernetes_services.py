"""Services by their types, on the stand-in and on a real API server (EDGELOOP_TEST_KUBECONFIG): both must give the recorded outcome."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from include.standin import kubernetes as standin
from include.standin.home import Home, free_port_base
from include.standin.kubernetes import kubeconfig
from include.standin.serving import Background, create_app
from tests.contract.test_kubernetes_apply import JSON_PATCH, MERGE, Script, assert_expected

EXPECTED = Path(__file__).with_name("kubernetes_services.expected.json")
SERVICES = "/api/v1/namespaces/{ns}/services"
FIRST, SECOND, THIRD = 30007, 30008, 30009
"""Node ports that a server gives only to those who name them."""


class Services(Script):
    """Addresses and node ports that the server chose are masked; a port that is kept keeps its mask."""

    def __init__(self, config_file: str) -> None:
        super().__init__(config_file)
        self.chosen: list[str] = []

    def _masked(self, text: str) -> str:
        text = re.sub(r"\b\d+\.\d+\.\d+\.\d+\b", "ADDRESS", super()._masked(text))
        return re.sub(r'(?<="nodePort": )3\d{4}\b', self._mask, text)

    def _mask(self, found: re.Match[str]) -> str:
        if int(found[0]) in (FIRST, SECOND, THIRD):
            return found[0]
        if found[0] not in self.chosen:
            self.chosen.append(found[0])
        return f'"chosen {self.chosen.index(found[0]) + 1}"'

    def post(self, step: str, name: str, *ports: dict[str, Any], shows: str = "spec", **spec: Any) -> None:
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports} | spec}
        self.step(step, "POST", SERVICES + "?fieldManager=hand", body, shows=shows)

    def patch(self, step: str, name: str, shows: str = "spec", **spec: Any) -> None:
        self.step(step, "PATCH", f"{SERVICES}/{name}?fieldManager=hand", {"spec": spec}, MERGE, shows)


def port(number: int = 80, name: str = "", node: int = 0, **more: Any) -> dict[str, Any]:
    return {"port": number} | ({"name": name} if name else {}) | ({"nodePort": node} if node else {}) | more


def type_steps(script: Services) -> None:
    script.post("ClusterIP", "inside", port(), shows="spec status owners")
    script.post("NodePort", "n", port(), type="NodePort", shows="spec status owners")
    script.post("LoadBalancer", "l", port(), type="LoadBalancer", shows="spec status")
    script.post("ExternalName", "e", port(), type="ExternalName", externalName="example.org")
    script.post("LoadBalancer without node ports", "l2", port(), type="LoadBalancer", allocateLoadBalancerNodePorts=False)
    script.post("two protocols of a port", "p", port(53, "a"), port(53, "b", protocol="UDP"), type="NodePort")
    script.post("a node port that is given", "g", port(node=FIRST), type="NodePort", shows="spec owners")


def refused_steps(script: Services) -> None:
    script.post("out of range", "x", port(node=99), type="NodePort")
    script.post("taken", "x", port(node=FIRST), type="NodePort")
    script.post("taken, and the name as well", "g", port(node=FIRST), type="NodePort")
    script.post("taken by itself", "x", port(80, "a", SECOND), port(81, "b", SECOND), type="NodePort")
    script.post("a node port of a ClusterIP", "x", port(node=SECOND), type="ClusterIP")
    script.post("a policy of a ClusterIP", "x", port(), externalTrafficPolicy="Cluster")
    script.post("NodePort without an address", "x", port(), type="NodePort", clusterIP="None")
    script.post("no such type", "x", port(), type="Nodeport")
    script.patch("update out of range", "n", ports=[port(node=32768)])
    script.patch("update to a taken one", "n", ports=[port(node=FIRST)])
    script.patch("update of the address", "n", clusterIP="192.0.2.1")
    script.step("what is refused takes no port", "GET", SERVICES + "/n", shows="spec")


def update_steps(script: Services) -> None:
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "n"}, "spec": {"type": "NodePort", "ports": [port()]}}
    script.step("replaced without its node port", "PUT", SERVICES + "/n?fieldManager=hand", body, shows="spec owners")
    script.patch("another port number", "n", ports=[port(81)])
    script.patch("two names", "n", ports=[port(81, "a"), port(82, "b")])
    script.patch("the other way round", "n", ports=[port(82, "b"), port(81, "a", 0)])
    script.patch("given", "n", ports=[port(81, "a", SECOND), port(82, "b", THIRD)])
    script.patch("swapped", "n", ports=[port(81, "a", THIRD), port(82, "b", SECOND)])
    script.patch("one takes the other's", "n", ports=[port(81, "a", SECOND), port(82, "b")])
    script.patch("to ClusterIP", "n", type="ClusterIP")
    script.post("what it had is free", "free", port(node=SECOND), type="NodePort")
    script.step("deleted", "DELETE", SERVICES + "/g")
    script.post("what that had is free", "free2", port(node=FIRST), type="NodePort")
    script.patch("to ClusterIP with a new node port", "free2", type="ClusterIP", ports=[port(node=THIRD)])
    operation = {"op": "replace", "path": "/spec/type", "value": "NodePort"}
    script.step("back by JSON patch", "PATCH", SERVICES + "/n?fieldManager=hand", [operation], JSON_PATCH, "spec")
    script.patch("to LoadBalancer", "n", type="LoadBalancer")
    script.patch("to ExternalName", "n", type="ExternalName", externalName="example.org")
    script.patch("from ExternalName", "e", type="NodePort", externalName=None)


def apply_steps(script: Services) -> None:
    applied: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "applied"}}
    path = SERVICES + "/applied"
    script.apply("applied", path, applied | {"spec": {"type": "NodePort", "ports": [port()]}}, "one", shows="spec owners")
    script.apply("applied by another", path, applied | {"spec": {"ports": [port(node=THIRD)]}}, "two", shows="spec owners")
    script.apply("no longer said", path, applied | {"spec": {"ports": [port()]}}, "two", shows="spec owners")
    script.apply("as ClusterIP", path, applied | {"spec": {"type": "ClusterIP", "ports": [port()]}}, "one", shows="spec owners")


def run(config_file: str) -> dict[str, Any]:
    script = Services(config_file)
    script.send("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{ns}"}})
    try:
        for steps in (type_steps, refused_steps, update_steps, apply_steps):
            steps(script)
    finally:
        script.send("DELETE", "/api/v1/namespaces/{ns}")
    return script.outcome


def test_standin_gives_the_recorded_outcome(tmp_path: Path) -> None:
    home = Home.create(tmp_path, free_port_base(1), sites=["north"])
    with Background(create_app(home, standin.create(home, "north")), home, home.port("kubernetes-north")):
        assert_expected(run(str(kubeconfig.write(home, "north"))), EXPECTED)


@pytest.mark.cluster
@pytest.mark.skipif("EDGELOOP_TEST_KUBECONFIG" not in os.environ, reason="needs a real Kubernetes")
def test_a_real_server_gives_the_recorded_outcome() -> None:
    assert_expected(run(os.environ["EDGELOOP_TEST_KUBECONFIG"]), EXPECTED)
