"""What the real server fills in before it stores an object."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

from include.standin.kubernetes import kinds
from include.standin.kubernetes.kinds import Kind
from include.standin.kubernetes.store import Store

Fields = dict[str, Any]


def _fill(target: Fields, **values: Any) -> None:
    for name, value in values.items():
        if target.get(name) is None:
            target[name] = value


def fill(kind: Kind, value: Fields, store: Store, services: str) -> None:
    """Set defaults in place. `services`: first two numbers of the site's service addresses, `127.61`."""
    if found := RULES.get(kind):
        found(value)
    if "status" in kind.subresources:
        value.setdefault("status", {})
    if kind is kinds.SERVICE:
        _service(value.setdefault("spec", {}), store, services)


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
    kinds.POLICY: _policy,
    kinds.POLICY_BINDING: _policy_binding,
}


def _service(spec: Fields, store: Store, services: str) -> None:
    _fill(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    for port in spec.get("ports") or ():
        _fill(port, protocol="TCP")
        _fill(port, targetPort=port.get("port"))
    if spec["type"] == "ExternalName":
        return
    if not spec.get("clusterIP"):
        spec["clusterIP"] = _free_address(store, services)
    _fill(spec, clusterIPs=[spec["clusterIP"]], ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")


def _free_address(store: Store, services: str) -> str:
    """The first address of the site's range that no service has; .0.1 is the API server's own."""
    taken = {found.get("spec", {}).get("clusterIP") for found in store.all(kinds.SERVICE)}
    return next(address for address in _addresses(services) if address not in taken)


def _addresses(services: str) -> Iterator[str]:
    yield from (f"{services}.{number // 250}.{number % 250 + 2}" for number in range(60_000))
