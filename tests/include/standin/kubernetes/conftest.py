"""A site's API server, and a node agent that only says what a kubelet would say."""

import threading
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest
from kubernetes.client.exceptions import ApiException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from include.standin import kubernetes as standin
from include.standin.home import Home, free_port_base
from include.standin.kubernetes import kubeconfig
from include.standin.serving import Background, create_app

READY = [{"type": kind, "status": "True"} for kind in ("Initialized", "ContainersReady", "Ready")]


class Logs:
    """The node agent's side of logs."""

    audience: str | None = None

    def __init__(self) -> None:
        self.routes: list[BaseRoute] = [Route("/containerLogs/{namespace}/{pod}/{container}", self.read)]

    async def read(self, request: Request) -> Response:
        query = ",".join(f"{key}={value}" for key, value in sorted(request.query_params.items()))
        return PlainTextResponse(f"{request.path_params['pod']} {request.path_params['container']} {query}\n")

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Agent:
    """Says of every pod on the node that it is ready, of images called `bad` that they cannot be pulled, and lets go of deleted pods."""

    def __init__(self, config_file: str, port: int) -> None:
        self.core = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(config_file))
        self.port = port
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Agent":
        self.core.create_node({"metadata": {"name": "node-1", "labels": {"kubernetes.io/hostname": "node-1"}}})
        endpoint = {"kubeletEndpoint": {"Port": self.port}}
        status = {"conditions": [{"type": "Ready", "status": "True"}], "daemonEndpoints": endpoint}
        status["addresses"] = [{"type": "InternalIP", "address": "127.0.0.1"}]
        self.core.patch_node_status("node-1", {"status": status})
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(10)

    def _run(self) -> None:
        while not self.over.wait(0.05):
            for pod in self.core.list_pod_for_all_namespaces(field_selector="spec.nodeName=node-1").items:
                try:
                    self._serve(pod)
                except ApiException as error:
                    if error.status not in (404, 409):
                        raise

    def _serve(self, pod: Any) -> None:
        name, namespace = pod.metadata.name, pod.metadata.namespace
        if pod.metadata.deletion_timestamp:
            self.core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
        elif pod.status.phase == "Pending" and not (pod.status.container_statuses or []):
            image = pod.spec.containers[0].image
            bad = image.startswith("bad")
            state = {"waiting": {"reason": "ErrImagePull"}} if bad else {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
            one = {"name": pod.spec.containers[0].name, "image": image, "imageID": "", "ready": not bad, "restartCount": 0, "state": state}
            status = {"phase": "Pending" if bad else "Running", "containerStatuses": [one], "conditions": [] if bad else READY}
            self.core.patch_namespaced_pod_status(name, namespace, {"status": status})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The API server of the site `north`, in a home of its own."""
    home = Home.create(tmp_path_factory.mktemp("kubernetes"), free_port_base(1), sites=["north"])
    with Background(create_app(home, standin.create(home, "north")), home, home.port("kubernetes-north")):
        yield home


@pytest.fixture(scope="module")
def admin(site: Home) -> str:
    """The administrator's kubeconfig."""
    return str(kubeconfig.write(site, "north"))


@pytest.fixture(scope="module")
def node(site: Home, admin: str) -> Iterator[None]:
    """A node that runs pods, as it says."""
    port = site.port("node-north")
    with Background(create_app(site, Logs()), site, port), Agent(admin, port):
        yield


@pytest.fixture(scope="module")
def client(admin: str) -> Any:
    """A client of the administrator."""
    return kubernetes.config.new_client_from_config(admin)
