"""What the real server fills in before it stores an object."""

import base64
from collections.abc import Callable
from typing import Any

from include.standin.kubernetes import kinds
from include.standin.kubernetes.kinds import Kind
from include.standin.kubernetes.services import INSIDE, OUTSIDE

Fields = dict[str, Any]


def _fill(target: Fields, **values: Any) -> None:
    for name, value in values.items():
        if target.get(name) is None:
            target[name] = value


def fill(kind: Kind, value: Fields) -> None:
    """Set defaults in place."""
    if found := RULES.get(kind):
        found(value)
    if "status" in kind.subresources:
        value.setdefault("status", {})


def pod_spec(spec: Fields) -> None:
    """Defaults of a pod, also inside a template."""
    _fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        if isinstance(container, dict):
            _container(container)
    for volume in spec.get("volumes") or ():
        for source in ("configMap", "secret"):
            if isinstance(volume.get(source), dict):
                _fill(volume[source], defaultMode=420)


def _container(container: Fields) -> None:
    image = str(container.get("image", ""))
    latest = "@" not in image and image.rpartition("/")[2].partition(":")[2] in ("", "latest")
    _fill(
        container,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy="Always" if latest else "IfNotPresent",
    )
    for port in container.get("ports") or ():
        _fill(port, protocol="TCP")
    for variable in container.get("env") or ():
        if reference := (variable.get("valueFrom") or {}).get("fieldRef"):
            _fill(reference, apiVersion="v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe := container.get(name):
            _probe(probe)


def _probe(probe: Fields) -> None:
    _fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if get := probe.get("httpGet"):
        _fill(get, scheme="HTTP", path="/")


def _pod(value: Fields) -> None:
    spec = value.setdefault("spec", {})
    pod_spec(spec)
    _fill(spec, serviceAccountName="default", enableServiceLinks=True, preemptionPolicy="PreemptLowerPriority", priority=0)
    _fill(spec, serviceAccount=spec["serviceAccountName"])
    _fill(value, status={"phase": "Pending", "qosClass": "BestEffort"})


def _template(value: Fields) -> None:
    template = value.get("spec", {}).get("template")
    if isinstance(template, dict) and isinstance(template.get("spec"), dict):
        pod_spec(template["spec"])


def _deployment(value: Fields) -> None:
    spec = value.setdefault("spec", {})
    _fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
    _fill(spec["strategy"], type="RollingUpdate")
    if spec["strategy"]["type"] == "RollingUpdate":
        _fill(spec["strategy"], rollingUpdate={})
        _fill(spec["strategy"]["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")
    _template(value)


def _replica_set(value: Fields) -> None:
    _fill(value.setdefault("spec", {}), replicas=1)
    _template(value)


def _secret(value: Fields) -> None:
    _fill(value, type="Opaque")
    if plain := value.pop("stringData", None):
        value["data"] = (value.get("data") or {}) | {name: base64.b64encode(text.encode()).decode() for name, text in plain.items()}


def _namespace(value: Fields) -> None:
    _fill(value, status={"phase": "Active"}, spec={})
    _fill(value["spec"], finalizers=["kubernetes"])
    meta = value["metadata"]
    meta["labels"] = (meta.get("labels") or {}) | {"kubernetes.io/metadata.name": meta["name"]}


def _claim(value: Fields) -> None:
    _fill(value.setdefault("spec", {}), volumeMode="Filesystem", storageClassName="standard")
    _fill(value, status={"phase": "Pending"})


def _binding(value: Fields) -> None:
    if isinstance(value.get("roleRef"), dict):
        _fill(value["roleRef"], apiGroup=kinds.RBAC)
    for subject in value.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            _fill(subject, apiGroup=kinds.RBAC)


def _service(value: Fields) -> None:
    spec = value.setdefault("spec", {})
    _fill(spec, type="ClusterIP", sessionAffinity="None")
    _fill(value, status={"loadBalancer": {}})
    if spec["type"] in INSIDE:
        _fill(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in OUTSIDE:
        _fill(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _fill(spec, allocateLoadBalancerNodePorts=True)
    for port in spec.get("ports") or ():
        _fill(port, protocol="TCP")
        _fill(port, targetPort=port.get("port"))
        if port.get("nodePort") == 0:
            del port["nodePort"]


def _policy(value: Fields) -> None:
    spec = value.setdefault("spec", {})
    _fill(spec, failurePolicy="Fail")
    if isinstance(spec.get("matchConstraints"), dict):
        _constraints(spec["matchConstraints"])


def _policy_binding(value: Fields) -> None:
    if isinstance(value.get("spec", {}).get("matchResources"), dict):
        _constraints(value["spec"]["matchResources"])


def _constraints(found: Fields) -> None:
    _fill(found, matchPolicy="Equivalent", namespaceSelector={}, objectSelector={})
    for rule in found.get("resourceRules") or ():
        _fill(rule, scope="*")


RULES: dict[Kind, Callable[[Fields], None]] = {
    kinds.POD: _pod,
    kinds.DEPLOYMENT: _deployment,
    kinds.REPLICA_SET: _replica_set,
    kinds.STATEFUL_SET: _replica_set,
    kinds.DAEMON_SET: _template,
    kinds.SECRET: _secret,
    kinds.NAMESPACE: _namespace,
    kinds.CLAIM: _claim,
    kinds.ROLE_BINDING: _binding,
    kinds.CLUSTER_ROLE_BINDING: _binding,
    kinds.SERVICE: _service,
    kinds.POLICY: _policy,
    kinds.POLICY_BINDING: _policy_binding,
}
