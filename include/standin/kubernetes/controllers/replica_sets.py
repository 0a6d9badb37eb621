"""ReplicaSets: as many pods as they say."""

import copy

from include.standin.kubernetes import kinds
from include.standin.kubernetes.cluster import Cluster
from include.standin.kubernetes.controllers.ownership import available, deleting, owned, ready, reference
from include.standin.kubernetes.deleting import Options
from include.standin.kubernetes.exceptions import ApiError
from include.standin.kubernetes.store import Object, key_of
from include.standin.kubernetes.writing import CONTROLLER

BURST = 50
"""Pods that one step makes at most."""


def reconcile(cluster: Cluster) -> None:
    """One step for every ReplicaSet."""
    for found in cluster.store.all(kinds.REPLICA_SET):
        if not deleting(found):
            _reconcile(cluster, found)


def _reconcile(cluster: Cluster, found: Object) -> None:
    namespace, wanted = found["metadata"]["namespace"], found["spec"].get("replicas", 1)
    pods = [pod for pod in owned(cluster.store.all(kinds.POD, namespace), found) if _counts(pod)]
    for _ in range(min(BURST, wanted - len(pods))):
        if not _start(cluster, found):
            break
    for pod in sorted(pods, key=_first_to_go)[: max(0, len(pods) - wanted)]:
        cluster.deleter.delete(key_of(kinds.POD, pod), Options())
    current = [pod for pod in owned(cluster.store.all(kinds.POD, namespace), found) if _counts(pod)]
    minimum = found["spec"].get("minReadySeconds", 0)
    counted = {
        "replicas": len(current),
        "fullyLabeledReplicas": len(current),
        "readyReplicas": sum(ready(pod) for pod in current),
        "availableReplicas": sum(available(pod, minimum) for pod in current),
    }
    status: Object = {"replicas": counted.pop("replicas"), **{name: number for name, number in counted.items() if number}}
    status["observedGeneration"] = found["metadata"]["generation"]
    cluster.writer.set_status(key_of(kinds.REPLICA_SET, found), status)


def _counts(pod: Object) -> bool:
    return not deleting(pod) and pod.get("status", {}).get("phase") not in ("Failed", "Succeeded")


def _first_to_go(pod: Object) -> tuple[bool, bool, str]:
    """Those without a node first, then those that are not ready, then the oldest."""
    return bool(pod["spec"].get("nodeName")), ready(pod), pod["metadata"]["creationTimestamp"]


def _start(cluster: Cluster, found: Object) -> bool:
    """Make one pod; False when it is refused, which is tried again at the next step."""
    template, meta = found["spec"]["template"], found["metadata"]
    pod = {
        "metadata": {
            "generateName": f"{meta['name']}-",
            "labels": dict(template["metadata"].get("labels") or {}),
            "annotations": dict(template["metadata"].get("annotations") or {}),
            "ownerReferences": reference(kinds.REPLICA_SET, found),
        },
        "spec": copy.deepcopy(template["spec"]),
    }
    try:
        cluster.writer.create(kinds.POD, meta["namespace"], pod, CONTROLLER)
    except ApiError as error:
        cluster.events.warn(kinds.REPLICA_SET, found, "FailedCreate", f"Error creating: {error}", "replicaset-controller")
        return False
    return True
