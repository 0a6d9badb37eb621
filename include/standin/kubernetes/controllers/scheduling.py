"""Pods get a node, claims get a volume."""

import copy
from collections import Counter

from include.standin.kubernetes import kinds
from include.standin.kubernetes.cluster import Cluster
from include.standin.kubernetes.controllers.ownership import condition, deleting, seconds_since, with_condition
from include.standin.kubernetes.selectors import lookup
from include.standin.kubernetes.store import Key, Object, key_of
from include.standin.kubernetes.writing import CONTROLLER

SILENT = 40.0
"""Seconds without a renewed lease after which a node gets no new pods (kube-controller-manager's node-monitor-grace-period)."""


def reconcile(cluster: Cluster) -> None:
    """One step for every pod without a node and every claim without a volume."""
    waiting = [pod for pod in cluster.store.all(kinds.POD) if not pod["spec"].get("nodeName") and not deleting(pod)]
    if waiting:
        nodes = [node for node in cluster.store.all(kinds.NODE) if _ready(cluster, node)]
        load = Counter(pod["spec"].get("nodeName") for pod in cluster.store.all(kinds.POD))
        for pod in waiting:
            _schedule(cluster, pod, nodes, load)
    for claim in cluster.store.all(kinds.CLAIM):
        if lookup(claim, "status.phase") == "Pending":
            _bind(cluster, claim)


def _ready(cluster: Cluster, node: Object) -> bool:
    if condition(node, "Ready").get("status") != "True" or node.get("spec", {}).get("unschedulable") or deleting(node):
        return False
    key = Key(kinds.LEASE, "kube-node-lease", node["metadata"]["name"])
    return not cluster.store.has(key) or seconds_since(lookup(cluster.store.peek(key), "spec.renewTime")) < SILENT


def _schedule(cluster: Cluster, pod: Object, nodes: list[Object], load: Counter[str]) -> None:
    key, wanted = key_of(kinds.POD, pod), pod["spec"].get("nodeSelector") or {}
    fitting = [node for node in nodes if wanted.items() <= (node["metadata"].get("labels") or {}).items()]
    live = cluster.store.get(key)
    if fitting:
        node = min(fitting, key=lambda one: load[one["metadata"]["name"]])["metadata"]["name"]
        load[node] += 1
        new = copy.deepcopy(live)
        new["spec"]["nodeName"] = node
        cluster.writer.update(key, live, new, CONTROLLER)
        _condition(cluster, key, True, "", "")
        message = f"Successfully assigned {key.namespace}/{key.name} to {node}"
        cluster.events.note(kinds.POD, live, "Scheduled", message, "default-scheduler")
    elif condition(live, "PodScheduled").get("reason") != "Unschedulable":
        total = len(cluster.store.all(kinds.NODE))
        message = f"0/{total} nodes are available: no ready node fits the pod." if total else "no nodes available to schedule pods"
        _condition(cluster, key, False, "Unschedulable", message)
        cluster.events.warn(kinds.POD, live, "FailedScheduling", message, "default-scheduler")


def _condition(cluster: Cluster, key: Key, value: bool, reason: str, message: str) -> None:
    status = cluster.store.get(key).get("status") or {}
    status["conditions"] = with_condition(status.get("conditions") or [], "PodScheduled", value, reason, message)
    cluster.writer.set_status(key, status)


def _bind(cluster: Cluster, claim: Object) -> None:
    """Every claim is bound at once; what it names is a folder of the node, or nothing."""
    key = key_of(kinds.CLAIM, claim)
    live = cluster.store.get(key)
    new = copy.deepcopy(live)
    new["spec"]["volumeName"] = f"pvc-{claim['metadata']['uid']}"
    cluster.writer.update(key, live, new, CONTROLLER)
    capacity = lookup(claim, "spec.resources.requests") or {}
    cluster.writer.set_status(key, {"phase": "Bound", "accessModes": claim["spec"].get("accessModes", []), "capacity": capacity})
