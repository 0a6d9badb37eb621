"""The cluster of the tests: namespaces that are theirs, objects, pods, commands in them, a way to a Service."""

import base64
import contextlib
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from kubernetes import client, config, utils, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream

T = TypeVar("T")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}


def until(seen: Callable[[], T], what: str, within: float, told: Callable[[], str] = str) -> T:
    """Wait until it is seen, and give it; else the failure says what was waited for, and what `told` tells."""
    end = time.monotonic() + within
    while not (found := seen()):
        assert time.monotonic() < end, f"{what}: not within {within:.0f} s\n{told()}"
        time.sleep(0.5)
    return found


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes, as its administrator sees it."""

    kubeconfig: str
    kubectl: str

    @property
    def api(self) -> client.ApiClient:
        return config.new_client_from_config(self.kubeconfig)

    @property
    def core(self) -> client.CoreV1Api:
        return client.CoreV1Api(self.api)

    @contextlib.contextmanager
    def namespace(self, name: str, labels: dict[str, str]) -> Iterator[None]:
        """A new namespace. One of that name that a killed run left is removed first."""
        self._remove(name)
        until(lambda: self._gone(name), f"namespace {name} gone", 120)
        self.core.create_namespace({"metadata": {"name": name, "labels": labels}})
        try:
            yield
        finally:
            self._remove(name)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(ApiException):
            self.core.delete_namespace(name)
            self.core.delete_collection_namespaced_pod(name, grace_period_seconds=0)  # a worker would be waited for

    def _gone(self, name: str) -> bool:
        try:
            self.core.read_namespace(name)
        except ApiException as error:
            return bool(error.status == 404)
        return False

    def create(self, namespace: str, *objects: dict[str, Any]) -> None:
        for found in objects:
            utils.create_from_dict(self.api, found, namespace=namespace)

    def secret(self, namespace: str, name: str, data: dict[str, str], kind: str = "Opaque") -> None:
        self.core.create_namespaced_secret(namespace, {"metadata": {"name": name}, "type": kind, "stringData": data})

    def pull_secret(self, namespace: str, name: str, registry: str, user: str, password: str) -> None:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        said = json.dumps({"auths": {registry: {"auth": token}}})
        self.secret(namespace, name, {".dockerconfigjson": said}, "kubernetes.io/dockerconfigjson")

    def pods(self, namespace: str, selector: str = "") -> list[client.V1Pod]:
        return list(self.core.list_namespaced_pod(namespace, label_selector=selector).items)

    def seen_since(self, namespace: str, version: str, selector: str) -> dict[str, client.V1Pod]:
        """Pods that were there at any time since the resource version, by name, as they were when seen last."""
        events = watch.Watch().stream(
            self.core.list_namespaced_pod, namespace, label_selector=selector, resource_version=version, timeout_seconds=1
        )
        return {event["object"].metadata.name: event["object"] for event in events}

    def version(self, namespace: str) -> str:
        """The resource version of now."""
        return str(self.core.list_namespaced_pod(namespace).metadata.resource_version)

    def execute(self, namespace: str, pod: str, container: str, command: list[str]) -> tuple[int, str]:
        """Exit code and output of a command in a container."""
        call = stream(
            client.CoreV1Api(config.new_client_from_config(self.kubeconfig)).connect_get_namespaced_pod_exec,
            pod, namespace, container=container, command=command, stdout=True, stderr=True, _preload_content=False,
        )  # fmt: skip
        call.run_forever(timeout=120)
        return int(call.returncode), call.read_all()

    def describe(self, namespace: str) -> str:
        """What a person would look at first: states of containers, their last lines, warnings."""
        told = []
        for pod in self.pods(namespace):
            for status in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
                told.append(f"{pod.metadata.name}/{status.name}: ready={status.ready} restarts={status.restart_count}")
                with contextlib.suppress(ApiException):
                    told.append(self.core.read_namespaced_pod_log(pod.metadata.name, namespace, container=status.name, tail_lines=15))
        for event in self.core.list_namespaced_event(namespace).items:
            if event.type != "Normal":
                told.append(f"{event.involved_object.name}: {event.reason}: {event.message}")
        return "\n".join(told)

    @contextlib.contextmanager
    def forwarded(self, namespace: str, service: str, port: int) -> Iterator[str]:
        """URL of a Service on this machine."""
        command = [self.kubectl, "--kubeconfig", self.kubeconfig, "-n", namespace, "port-forward", f"service/{service}", f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                assert process.stdout is not None
                said = process.stdout.readline()
                found = re.search(r"127\.0\.0\.1:(\d+)", said)
                assert found, f"kubectl port-forward: {said}{process.stdout.read()}"
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                process.kill()
