"""Deployments and Services: rolling updates of real servers, balanced, probed."""

import socket

import httpx
import pytest

from include.standin.home import port_taken
from include.standin.kubernetes.allocation import ON_REQUEST
from tests.include.standin.node.site import NAMESPACE, Site, wait


@pytest.fixture(scope="module")
def scorer(site: Site) -> str:
    """A Deployment of two servers behind a Service; the Service's address."""
    site.apps.create_namespaced_deployment(NAMESPACE, site.deployment("scorer", site.tiny, env=[{"name": "ANSWER", "value": "one"}]))
    port = {"port": 8080, "targetPort": "http"}
    service = site.core.create_namespaced_service(
        NAMESPACE, {"metadata": {"name": "scorer"}, "spec": {"selector": {"app": "scorer"}, "ports": [port]}}
    )
    site.rolled_out("scorer")
    return str(service.spec.cluster_ip)


def test_service_balances_over_ready_pods(site: Site, scorer: str) -> None:
    assert scorer.startswith("127.61.")
    wait("the service", lambda: site.ask(scorer))
    hosts = {site.ask(scorer)["host"] for _ in range(6)}
    assert len(hosts) == 2
    assert all(host.startswith("127.31.") for host in hosts)


def test_rolling_update_loses_no_request(site: Site, scorer: str) -> None:
    wait("the service", lambda: site.ask(scorer))
    body = site.deployment("scorer", site.tiny, env=[{"name": "ANSWER", "value": "two"}])
    site.apps.patch_namespaced_deployment("scorer", NAMESPACE, body)
    answers = []

    def ask_and_look() -> bool:
        answers.append(site.ask(scorer)["answer"])
        return answers[-1] == "two" and site.rolled_out_now("scorer")

    wait("the update", ask_and_look)
    assert set(answers) == {"one", "two"}
    assert {site.ask(scorer)["answer"] for _ in range(4)} == {"two"}


def test_bad_digest_leaves_the_old_pods_serving(site: Site, scorer: str) -> None:
    wait("the service", lambda: site.ask(scorer))
    bad = site.tiny.partition("@")[0] + "@sha256:" + "f" * 64
    site.apps.patch_namespaced_deployment("scorer", NAMESPACE, site.deployment("scorer", bad))

    def pulling_fails() -> bool:
        pods = site.core.list_namespaced_pod(NAMESPACE, label_selector="app=scorer").items
        states = [status.state.waiting for pod in pods for status in pod.status.container_statuses or ()]
        return any(state and state.reason in ("ErrImagePull", "ImagePullBackOff") for state in states)

    wait("ErrImagePull", pulling_fails)
    assert {site.ask(scorer)["model"] for _ in range(4)} == {"tiny"}
    site.apps.patch_namespaced_deployment("scorer", NAMESPACE, site.deployment("scorer", site.tiny))
    site.rolled_out("scorer")


def test_a_node_port_is_served_at_the_node_until_the_type_changes(site: Site, scorer: str) -> None:
    spec = {"type": "NodePort", "selector": {"app": "scorer"}, "ports": [{"port": 80, "targetPort": "http"}]}
    service = site.core.create_namespaced_service(NAMESPACE, {"metadata": {"name": "outside"}, "spec": spec})
    node_port = service.spec.ports[0].node_port
    wait("the node port", lambda: site.ask("127.0.0.1", port=node_port))
    assert len({site.ask("127.0.0.1", port=node_port)["host"] for _ in range(6)}) == 2
    assert site.ask(service.spec.cluster_ip, port=80)
    site.core.patch_namespaced_service("outside", NAMESPACE, {"spec": {"type": "ClusterIP"}})
    wait("a free port", lambda: not port_taken(node_port))
    assert site.ask(service.spec.cluster_ip, port=80)
    site.core.delete_namespaced_service("outside", NAMESPACE)


def test_a_node_port_that_is_taken_is_tried_again(site: Site, scorer: str) -> None:
    taken = next(port for port in ON_REQUEST if not port_taken(port))
    spec = {"type": "NodePort", "selector": {"app": "scorer"}, "ports": [{"port": 80, "targetPort": "http", "nodePort": taken}]}
    with socket.create_server(("127.0.0.1", taken)):
        service = site.core.create_namespaced_service(NAMESPACE, {"metadata": {"name": "late"}, "spec": spec})
        wait("the service", lambda: site.ask(service.spec.cluster_ip, port=80))
        wait("the warning", lambda: f"127.0.0.1:{taken}" in (site.home.path / "logs" / "node-north.log").read_text())
    wait("the node port", lambda: site.ask("127.0.0.1", port=taken))
    site.core.delete_namespaced_service("late", NAMESPACE)


def test_readiness_takes_a_pod_out_of_the_service(site: Site) -> None:
    sick = site.home.path / "sick"
    probe = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    site.pod("sick", site.tiny, labels={"app": "sick"}, env=[{"name": "SICK", "value": str(sick)}], readinessProbe=probe)
    spec = {"selector": {"app": "sick"}, "ports": [{"port": 80, "targetPort": 8080}]}
    address = site.core.create_namespaced_service(NAMESPACE, {"metadata": {"name": "sick"}, "spec": spec}).spec.cluster_ip
    site.ready("sick")
    wait("the service", lambda: site.ask(address, port=80))
    sick.touch()
    wait("not ready", lambda: not site.state("sick").ready)

    def refuses() -> bool:
        try:
            site.ask(address, port=80)
        except httpx.HTTPError:
            return True
        return False

    wait("no endpoint", refuses)
    assert ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503") in wait("the event", lambda: site.events("sick"))
    site.delete("sick")
    site.gone("sick")


def test_liveness_restarts(site: Site) -> None:
    sick = site.home.path / "dead"
    probe = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    ready = {"exec": {"command": ["python", "-c", "import os; assert os.environ['SICK']"]}, "timeoutSeconds": 10}
    start = {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 30}
    site.pod(
        "liveness",
        site.tiny,
        spec={"restartPolicy": "Always"},
        env=[{"name": "SICK", "value": str(sick)}],
        livenessProbe=probe,
        readinessProbe=ready,
        startupProbe=start,
    )
    site.ready("liveness")
    sick.touch()
    wait("the restart", lambda: site.state("liveness").restart_count == 1)
    sick.unlink()
    site.ready("liveness")
    assert "Killing" in [reason for reason, _ in site.events("liveness")]
    site.delete("liveness")
    site.gone("liveness")
