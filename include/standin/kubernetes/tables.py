"""Printer columns: what `kubectl get` shows (meta.k8s.io/v1 Table)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from include.standin.kubernetes import kinds
from include.standin.kubernetes.kinds import Kind
from include.standin.kubernetes.selectors import lookup

Object = dict[str, Any]
MEDIA_TYPE = "as=Table"


@dataclass(frozen=True)
class Column:
    """A column: its title, how a cell is made, and 1 when only `-o wide` shows it."""

    title: str
    cell: Callable[[Object], Any]
    priority: int = 0
    type: str = "string"


def age(stamp: str | None) -> str:
    """Time since then as people read it: `12s`, `5m`, `3h`, `2d`."""
    if not stamp:
        return "<unknown>"
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()))
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "m"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86_400}d"


def _at(path: str, missing: Any = "<none>") -> Callable[[Object], Any]:
    def cell(found: Object) -> Any:
        value = lookup(found, path)
        return missing if value is None else value

    return cell


def _count(path: str) -> Callable[[Object], int]:
    return lambda found: len(lookup(found, path) or ())


def _statuses(pod: Object) -> list[Object]:
    return lookup(pod, "status.containerStatuses") or []


def _pod_ready(pod: Object) -> str:
    return f"{sum(bool(status.get('ready')) for status in _statuses(pod))}/{len(pod['spec'].get('containers') or ())}"


def _pod_status(pod: Object) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for status in _statuses(pod):
        for state in ("waiting", "terminated"):
            if reason := lookup(status, f"state.{state}.reason"):
                return str(reason)
    return lookup(pod, "status.reason") or lookup(pod, "status.phase") or "Unknown"


def _restarts(pod: Object) -> str:
    return str(sum(status.get("restartCount", 0) for status in _statuses(pod)))


def _deployment_ready(found: Object) -> str:
    return f"{lookup(found, 'status.readyReplicas') or 0}/{lookup(found, 'spec.replicas') or 0}"


def _node_status(node: Object) -> str:
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in lookup(node, "status.conditions") or ())
    return ("Ready" if ready else "NotReady") + (",SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else "")


def _ports(service: Object) -> str:
    return ",".join(_port(port) for port in lookup(service, "spec.ports") or ()) or "<none>"


def _port(port: Object) -> str:
    outside = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{outside}/{port.get('protocol', 'TCP')}"


def _external_address(service: Object) -> str:
    """No load balancer ever gives one here."""
    return "<pending>" if service["spec"]["type"] == "LoadBalancer" else service["spec"].get("externalName") or "<none>"


def _event_object(event: Object) -> str:
    about = event.get("involvedObject") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


def _role_of(binding: Object) -> str:
    return f"{lookup(binding, 'roleRef.kind')}/{lookup(binding, 'roleRef.name')}"


def _images(found: Object) -> str:
    return ",".join(one.get("image", "") for one in lookup(found, "spec.template.spec.containers") or ())


NAME = Column("Name", _at("metadata.name"))
AGE = Column("Age", lambda found: age(found["metadata"].get("creationTimestamp")))
IMAGES = Column("Images", _images, 1)
COLUMNS: dict[Kind, tuple[Column, ...]] = {
    kinds.POD: (
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _restarts),
        AGE,
        Column("IP", _at("status.podIP"), 1),
        Column("Node", _at("spec.nodeName"), 1),
    ),
    kinds.DEPLOYMENT: (
        Column("Ready", _deployment_ready),
        Column("Up-to-date", _at("status.updatedReplicas", 0), 0, "integer"),
        Column("Available", _at("status.availableReplicas", 0), 0, "integer"),
        AGE,
        IMAGES,
    ),
    kinds.REPLICA_SET: (
        Column("Desired", _at("spec.replicas", 0), 0, "integer"),
        Column("Current", _at("status.replicas", 0), 0, "integer"),
        Column("Ready", _at("status.readyReplicas", 0), 0, "integer"),
        AGE,
        IMAGES,
    ),
    kinds.SERVICE: (
        Column("Type", _at("spec.type")),
        Column("Cluster-IP", _at("spec.clusterIP")),
        Column("External-IP", _external_address),
        Column("Port(s)", _ports),
        AGE,
    ),
    kinds.NODE: (
        Column("Status", _node_status),
        Column("Roles", lambda _: "<none>"),
        AGE,
        Column("Version", _at("status.nodeInfo.kubeletVersion", "")),
    ),
    kinds.NAMESPACE: (Column("Status", _at("status.phase")), AGE),
    kinds.CONFIG_MAP: (Column("Data", _count("data"), 0, "integer"), AGE),
    kinds.SECRET: (Column("Type", _at("type")), Column("Data", _count("data"), 0, "integer"), AGE),
    kinds.CLAIM: (Column("Status", _at("status.phase")), Column("Volume", _at("spec.volumeName", "")), AGE),
    kinds.LEASE: (Column("Holder", _at("spec.holderIdentity", "")), AGE),
    kinds.ROLE_BINDING: (Column("Role", _role_of), AGE),
    kinds.CLUSTER_ROLE_BINDING: (Column("Role", _role_of), AGE),
    kinds.POLICY: (Column("Validations", _count("spec.validations"), 0, "integer"), AGE),
    kinds.POLICY_BINDING: (Column("PolicyName", _at("spec.policyName")), AGE),
    kinds.EVENT: (
        Column("Last Seen", lambda found: age(found.get("lastTimestamp") or found.get("eventTime"))),
        Column("Type", _at("type")),
        Column("Reason", _at("reason")),
        Column("Object", _event_object),
        Column("Message", _at("message")),
    ),
}


def table(kind: Kind, found: list[Object], revision: int, whole: bool = False, heads: bool = True) -> Object:
    """The objects as a Table. `whole`: rows carry the objects, not their metadata only; `heads`: with the columns' names."""
    columns = (NAME, *COLUMNS.get(kind, (AGE,)))
    if kind is kinds.EVENT:
        columns = columns[1:]
    said = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": str(revision)}}
    definitions = [_definition(column) for column in columns] if heads else None
    return said | {"columnDefinitions": definitions, "rows": [_row(columns, one, whole) for one in found]}


def _definition(column: Column) -> Object:
    return {
        "name": column.title,
        "type": column.type,
        "format": "name" if column is NAME else "",
        "description": column.title,
        "priority": column.priority,
    }


def _row(columns: tuple[Column, ...], found: Object, whole: bool) -> Object:
    carried = found if whole else {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": found["metadata"]}
    return {"cells": [column.cell(found) for column in columns], "object": carried}
