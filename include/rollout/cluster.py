"""The site's cluster, as far as a rollout needs it: its own namespace, server-side apply, and waiting with a reason."""

import base64
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from kubernetes import client, config, dynamic
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import NotFoundError

MANAGER = "edgeloop-rollout"
"""Field manager of everything that a rollout applies."""
BROKEN = ("ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff", "CreateContainerConfigError", "InvalidImageName", "CreateContainerError")
"""Reasons of a waiting container that time does not heal within a rollout."""
PATIENCE = 10.0
"""Seconds that a broken state may last before it counts: an image pull is retried, a first crash may be the volume's."""
ADMISSION = 15.0
"""Seconds in which a real API server takes notice of a digest that was approved just now."""
POLICY = "edgeloop-approved-digests"


class NotReady(RuntimeError):
    """A Deployment did not become ready; the message says what its pods say."""


class Cluster:
    """One namespace of the site's cluster. Configuration: KUBECONFIG if set, else the pod's service account."""

    def __init__(self, namespace: str, api: Any = None) -> None:
        if api is None:
            config.load_config()
            api = client.ApiClient()
        self.namespace = namespace
        self._api = api
        self._core = client.CoreV1Api(api)
        self._apps = client.AppsV1Api(api)
        self._dynamic: Any = None

    def apply(self, manifests: Iterable[dict[str, Any]]) -> None:
        """Server-side apply, forced: fields of the chart belong to the rollout, whoever touched them."""
        if self._dynamic is None:
            self._dynamic = dynamic.DynamicClient(self._api)
        for manifest in manifests:
            resource = self._dynamic.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
            namespace = manifest["metadata"].get("namespace", self.namespace) if resource.namespaced else None
            self._apply(resource, manifest, namespace)

    def _apply(self, resource: Any, manifest: dict[str, Any], namespace: str | None) -> None:
        """Again for a while when the admission policy refuses: it reads the approved digests from a cache."""
        end = time.monotonic() + ADMISSION
        while True:
            try:
                resource.server_side_apply(body=manifest, namespace=namespace, field_manager=MANAGER, force_conflicts=True)
                return
            except ApiException as error:
                if POLICY not in str(error.body) or time.monotonic() > end:
                    raise
            time.sleep(0.25)

    def config_map(self, name: str) -> dict[str, str] | None:
        """The data of a ConfigMap, or None when there is none."""
        try:
            return dict(self._core.read_namespaced_config_map(name, self.namespace).data or {})
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def apply_config_map(self, name: str, data: Mapping[str, str | None]) -> None:
        """Write keys of a ConfigMap (None: remove), leaving other keys alone."""
        try:
            self._core.patch_namespaced_config_map(name, self.namespace, {"data": data}, field_manager=MANAGER)
        except ApiException as error:
            if error.status != 404:
                raise
            body = {"metadata": {"name": name}, "data": {key: value for key, value in data.items() if value is not None}}
            self._core.create_namespaced_config_map(self.namespace, body, field_manager=MANAGER)

    def registry_login(self, name: str, registry: str) -> tuple[str, str]:
        """User and password for the registry from a dockerconfigjson Secret."""
        secret = self._core.read_namespaced_secret(name, self.namespace)
        auths = json.loads(base64.b64decode(secret.data[".dockerconfigjson"]))["auths"]
        if registry not in auths:
            raise LookupError(f"Secret {name} has no login for {registry}; it has {', '.join(auths) or 'none'}")
        return auths[registry]["username"], auths[registry]["password"]

    def deployment(self, name: str) -> Any | None:
        """The Deployment, or None when there is none."""
        try:
            return self._apps.read_namespaced_deployment(name, self.namespace)
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def service_url(self, name: str) -> str | None:
        """`http://address:port` of a Service by its cluster address (works without DNS), or None."""
        try:
            spec = self._core.read_namespaced_service(name, self.namespace).spec
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return f"http://{spec.cluster_ip}:{spec.ports[0].port}"

    def wait_ready(self, name: str, seconds: float) -> None:
        """Until every replica of the Deployment's newest template is available and none of an older one is left.

        NotReady when the time is over, or earlier when a pod says something that waiting does not mend.
        """
        end, broken_since = time.monotonic() + seconds, None
        while True:
            found = self.deployment(name)
            if found is not None and _complete(found):
                return
            reason = self._trouble(name)
            now = time.monotonic()
            broken_since = (broken_since or now) if reason and reason.startswith(BROKEN) else None
            if now > end or (broken_since is not None and now - broken_since > PATIENCE):
                raise NotReady(f"{name} is not ready: {reason or 'no pod has reported a reason'}")
            time.sleep(0.25)

    def _trouble(self, name: str) -> str | None:
        """What the pods of the Deployment's newest template wait for, or why there are none."""
        found = self._core.list_namespaced_pod(self.namespace, label_selector=f"app.kubernetes.io/name={name}").items
        pods = sorted((pod for pod in found if not pod.metadata.deletion_timestamp), key=_age, reverse=True)
        for pod in pods:
            said = _complaint(pod) if _template(pod) == _template(pods[0]) else None
            if said:
                return said
        return None if pods else self._refusal(name)

    def _refusal(self, name: str) -> str | None:
        """Why the cluster makes no pod: a quota, the namespace's pod security."""
        deployment = self.deployment(name)
        conditions = (deployment.status.conditions if deployment is not None else None) or ()
        return next((f"{one.reason}: {one.message}" for one in conditions if one.type == "ReplicaFailure" and one.status == "True"), None)

    def delete_scorer(self, name: str) -> None:
        """Remove a Deployment and its Service, if they are there."""
        for kind, api_version in (("Deployment", "apps/v1"), ("Service", "v1")):
            if self._dynamic is None:
                self._dynamic = dynamic.DynamicClient(self._api)
            resource = self._dynamic.resources.get(api_version=api_version, kind=kind)
            try:
                resource.delete(name=name, namespace=self.namespace)
            except NotFoundError:
                continue


def _complete(deployment: Any) -> bool:
    status, want = deployment.status, deployment.spec.replicas
    if (status.observed_generation or 0) < deployment.metadata.generation:
        return False
    counts = (status.updated_replicas or 0, status.available_replicas or 0, status.replicas or 0)
    return counts == (want, want, want)


def _age(pod: Any) -> str:
    return str(pod.metadata.creation_timestamp)


def _template(pod: Any) -> str | None:
    return (pod.metadata.labels or {}).get("pod-template-hash")


def _complaint(pod: Any) -> str | None:
    """What a pod says about not being ready: its container's reason, else the scheduler's."""
    for status in pod.status.container_statuses or ():
        if status.state.waiting is not None:
            return f"{status.state.waiting.reason}: {status.state.waiting.message or pod.metadata.name}{_last_end(status)}"
        if status.state.terminated is not None:
            return f"Terminated: container {status.name} of {pod.metadata.name} ended with exit code {status.state.terminated.exit_code}"
        if not status.ready:
            return f"NotReady: container {status.name} of {pod.metadata.name} does not answer its probe"
    conditions = pod.status.conditions or ()
    return next((f"{one.reason}: {one.message}" for one in conditions if one.type == "PodScheduled" and one.status == "False"), None)


def _last_end(status: Any) -> str:
    ended = status.last_state.terminated if status.last_state else None
    return f" (exit code {ended.exit_code}: see its log)" if ended else ""
