"""Deployments: a ReplicaSet a template, rolled from the old to the new (apps/v1; kube-controller-manager `deployment/`)."""

import copy
import hashlib
import json
import math
from typing import Any

from include.standin.kubernetes import kinds
from include.standin.kubernetes.cluster import Cluster
from include.standin.kubernetes.controllers.ownership import condition, deleting, owned, reference, seconds_since, with_condition
from include.standin.kubernetes.selectors import lookup
from include.standin.kubernetes.store import Object, key_of
from include.standin.kubernetes.writing import CONTROLLER

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
COPIED_NOT = ("kubectl.kubernetes.io/last-applied-configuration", REVISION)
"""Annotations of a Deployment that its ReplicaSets do not get."""


def reconcile(cluster: Cluster) -> None:
    """One step for every Deployment."""
    for found in cluster.store.all(kinds.DEPLOYMENT):
        if not deleting(found):
            _Rollout(cluster, found).step()


def _count(replica_set: Object) -> int:
    return int(replica_set["spec"].get("replicas", 0))


def _status(replica_set: Object, name: str) -> int:
    return int(lookup(replica_set, f"status.{name}") or 0)


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION, 0))


def share(value: Any, total: int, up: bool) -> int:
    """A number, or a percentage of the total, rounded up (surge) or down (unavailable)."""
    if isinstance(value, str) and value.endswith("%"):
        return (math.ceil if up else math.floor)(int(value[:-1]) * total / 100)
    return int(value)


def template_hash(template: Object) -> str:
    """Names the template; the label that carries the name is left out."""
    bare = copy.deepcopy(template)
    (bare.get("metadata", {}).get("labels") or {}).pop(HASH, None)
    return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()[:10]


class _Rollout:
    """One Deployment and its ReplicaSets."""

    def __init__(self, cluster: Cluster, deployment: Object) -> None:
        self.cluster = cluster
        self.deployment = deployment
        self.meta: Object = deployment["metadata"]
        self.spec: Object = deployment["spec"]
        self.wanted: int = self.spec.get("replicas", 1)
        sets = owned(cluster.store.all(kinds.REPLICA_SET, self.meta["namespace"]), deployment)
        self.hash = template_hash(self.spec["template"])
        self.old = [one for one in sets if one["metadata"].get("labels", {}).get(HASH) != self.hash]
        self.new = next((one for one in sets if one not in self.old), None)

    def step(self) -> None:
        """Make the new set, move replicas from the old ones, tidy up, report."""
        if self.spec.get("paused"):
            self._scale_paused()
        else:
            if self.new is None:
                self.new = self._make_set()
            self._mark_revision(self.new)
            if self.spec["strategy"].get("type") == "Recreate":
                self._recreate(self.new)
            else:
                self._roll(self.new)
            self._tidy()
        self._report()

    def _make_set(self) -> Object:
        template = copy.deepcopy(self.spec["template"])
        template.setdefault("metadata", {}).setdefault("labels", {})[HASH] = self.hash
        selector = copy.deepcopy(self.spec["selector"])
        selector.setdefault("matchLabels", {})[HASH] = self.hash
        annotations = {key: value for key, value in (self.meta.get("annotations") or {}).items() if key not in COPIED_NOT}
        value = {
            "metadata": {
                "name": f"{self.meta['name']}-{self.hash}",
                "labels": dict(template["metadata"]["labels"]),
                "annotations": annotations | {REVISION: str(self._next_revision())},
                "ownerReferences": reference(kinds.DEPLOYMENT, self.deployment),
            },
            "spec": {"replicas": 0, "selector": selector, "template": template, "minReadySeconds": self.spec.get("minReadySeconds", 0)},
        }
        return self.cluster.writer.create(kinds.REPLICA_SET, self.meta["namespace"], value, CONTROLLER)[0]

    def _next_revision(self) -> int:
        return 1 + max((_revision(one) for one in self.old), default=0)

    def _mark_revision(self, new: Object) -> None:
        """The newest set has the highest revision, also when it is an old one come back; the Deployment says the same."""
        if _revision(new) < self._next_revision():
            self._annotate(kinds.REPLICA_SET, new, str(self._next_revision()))
            self.new = new = self.cluster.store.get(key_of(kinds.REPLICA_SET, new))
        said = str(_revision(new))
        if (self.meta.get("annotations") or {}).get(REVISION) != said:
            self._annotate(kinds.DEPLOYMENT, self.deployment, said)

    def _annotate(self, kind: kinds.Kind, found: Object, revision: str) -> None:
        live = self.cluster.store.get(key_of(kind, found))
        new = copy.deepcopy(live)
        new["metadata"]["annotations"] = (new["metadata"].get("annotations") or {}) | {REVISION: revision}
        self.cluster.writer.update(key_of(kind, found), live, new, CONTROLLER)

    def _scale(self, replica_set: Object, replicas: int) -> None:
        if _count(replica_set) == replicas:
            return
        key = key_of(kinds.REPLICA_SET, replica_set)
        live = self.cluster.store.get(key)
        new = copy.deepcopy(live)
        new["spec"]["replicas"] = replicas
        stored, _ = self.cluster.writer.update(key, live, new, CONTROLLER)
        verb = "up" if replicas > _count(replica_set) else "down"
        message = f"Scaled {verb} replica set {key.name} from {_count(replica_set)} to {replicas}"
        self.cluster.events.note(kinds.DEPLOYMENT, self.deployment, "ScalingReplicaSet", message, "deployment-controller")
        replica_set.clear()
        replica_set.update(stored)

    def _bounds(self) -> tuple[int, int]:
        """How many more than wanted there may be, and how many of the wanted may be missing."""
        rolling = self.spec["strategy"].get("rollingUpdate") or {}
        surge = share(rolling.get("maxSurge", "25%"), self.wanted, up=True)
        missing = share(rolling.get("maxUnavailable", "25%"), self.wanted, up=False)
        return surge, missing if surge or missing else 1

    def _roll(self, new: Object) -> None:
        """Rolling update: the new set grows as far as the surge allows, old ones shrink as far as enough stay available."""
        surge, missing = self._bounds()
        self.new, self.old = new, [copy.deepcopy(one) for one in self.old]
        self.new = new = copy.deepcopy(new)
        total = _count(new) + sum(_count(one) for one in self.old)
        growth = min(self.wanted - _count(new), max(0, self.wanted + surge - total))
        self._scale(new, self.wanted if not any(_count(one) for one in self.old) else _count(new) + growth)
        sets = [new, *self.old]
        spare = sum(_status(one, "availableReplicas") for one in sets) - (self.wanted - missing)
        for one in sorted(self.old, key=lambda one: _status(one, "availableReplicas")):
            serving = min(_count(one), _status(one, "availableReplicas"))
            cut = min(serving, max(0, spare))
            spare -= cut
            self._scale(one, serving - cut)

    def _recreate(self, new: Object) -> None:
        """Recreate: the new set starts when no pod of the old ones is left."""
        self.old = [copy.deepcopy(one) for one in self.old]
        self.new = copy.deepcopy(new)
        for one in self.old:
            self._scale(one, 0)
        pods = [pod for one in self.old for pod in owned(self.cluster.store.all(kinds.POD, self.meta["namespace"]), one)]
        if not any(pod.get("status", {}).get("phase") not in ("Failed", "Succeeded") for pod in pods):
            self._scale(self.new, self.wanted)

    def _scale_paused(self) -> None:
        """While paused nothing is rolled; a single active set still follows the wanted number."""
        active = [one for one in [self.new, *self.old] if one and _count(one)]
        if len(active) == 1:
            self._scale(copy.deepcopy(active[0]), self.wanted)

    def _tidy(self) -> None:
        """Forget the oldest sets beyond the history that is to be kept."""
        idle = sorted((one for one in self.old if not _count(one) and not _status(one, "replicas")), key=_revision)
        limit = self.spec.get("revisionHistoryLimit", 10)
        for one in idle[: max(0, len(idle) - limit)]:
            self.cluster.store.delete(key_of(kinds.REPLICA_SET, one))

    def _report(self) -> None:
        sets = [one for one in [self.new, *self.old] if one]
        replicas = sum(_status(one, "replicas") for one in sets)
        available = sum(_status(one, "availableReplicas") for one in sets)
        counted = {
            "replicas": replicas,
            "updatedReplicas": _status(self.new, "replicas") if self.new else 0,
            "readyReplicas": sum(_status(one, "readyReplicas") for one in sets),
            "availableReplicas": available,
            "unavailableReplicas": max(0, self.wanted - available),
        }
        live = self.cluster.store.peek(key_of(kinds.DEPLOYMENT, self.deployment))
        status: Object = {name: number for name, number in counted.items() if number}
        status["observedGeneration"] = self.meta["generation"]
        status["conditions"] = self._conditions(live, counted)
        self.cluster.writer.set_status(key_of(kinds.DEPLOYMENT, self.deployment), status)

    def _conditions(self, live: Object, counted: dict[str, int]) -> list[dict[str, Any]]:
        enough = counted["availableReplicas"] >= self.wanted - self._bounds()[1]
        reason, said = ("MinimumReplicasAvailable", "has") if enough else ("MinimumReplicasUnavailable", "does not have")
        found = list(lookup(live, "status.conditions") or ())
        found = with_condition(found, "Available", enough, reason, f"Deployment {said} minimum availability.")
        if self.spec.get("paused"):
            return found
        named = f'ReplicaSet "{self.new["metadata"]["name"]}"' if self.new else "The ReplicaSet"
        updated, total, available = counted["updatedReplicas"], counted["replicas"], counted["availableReplicas"]
        if updated == self.wanted == total == available:
            return with_condition(found, "Progressing", True, "NewReplicaSetAvailable", f"{named} has successfully progressed.")
        if self._moved(live, counted) or not condition(live, "Progressing"):
            found = [one for one in found if one["type"] != "Progressing"]
            return with_condition(found, "Progressing", True, "ReplicaSetUpdated", f"{named} is progressing.")
        return self._overdue(live, found, named)

    def _moved(self, live: Object, counted: dict[str, int]) -> bool:
        """Whether the rollout got further since the last report."""
        before = live.get("status") or {}
        rising = any(counted[name] > before.get(name, 0) for name in ("updatedReplicas", "readyReplicas", "availableReplicas"))
        shrinking = counted["replicas"] - counted["updatedReplicas"] < before.get("replicas", 0) - before.get("updatedReplicas", 0)
        return rising or shrinking or before.get("observedGeneration") != self.meta["generation"]

    def _overdue(self, live: Object, found: list[dict[str, Any]], named: str) -> list[dict[str, Any]]:
        progressing = condition(live, "Progressing")
        late = seconds_since(progressing.get("lastUpdateTime")) > self.spec.get("progressDeadlineSeconds", 600)
        if not late or progressing.get("reason") == "NewReplicaSetAvailable":
            return found
        return with_condition(found, "Progressing", False, "ProgressDeadlineExceeded", f"{named} has timed out progressing.")
