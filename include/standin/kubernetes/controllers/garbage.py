"""Objects whose owners are gone, namespaces that are emptied, events that are old."""

from include.standin.kubernetes import kinds
from include.standin.kubernetes.cluster import Cluster
from include.standin.kubernetes.controllers.ownership import deleting, owned, seconds_since
from include.standin.kubernetes.deleting import FOREGROUND, Options
from include.standin.kubernetes.kinds import Kind
from include.standin.kubernetes.store import Object, key_of

EVENTS_KEPT = 3600.0
"""Seconds (kube-apiserver's --event-ttl)."""


def reconcile(cluster: Cluster) -> None:
    """One round."""
    found = [(kind, one) for kind in kinds.KINDS for one in cluster.store.all(kind)]
    living = {one["metadata"]["uid"] for _, one in found}
    for kind, one in found:
        if _orphaned(one, living) and not deleting(one):
            _delete(cluster, kind, one)
        elif deleting(one) and FOREGROUND in (one["metadata"].get("finalizers") or ()):
            _finish_foreground(cluster, kind, one, found)
        elif kind is kinds.NAMESPACE and deleting(one):
            _empty(cluster, one, found)
        elif kind is kinds.EVENT and seconds_since(one["metadata"]["creationTimestamp"]) > EVENTS_KEPT:
            _delete(cluster, kind, one)


def _delete(cluster: Cluster, kind: Kind, one: Object) -> None:
    if cluster.store.has(key_of(kind, one)):
        cluster.deleter.delete(key_of(kind, one), Options())


def _orphaned(one: Object, living: set[str]) -> bool:
    owners = one["metadata"].get("ownerReferences") or ()
    return bool(owners) and not any(owner["uid"] in living for owner in owners)


def _finish_foreground(cluster: Cluster, kind: Kind, owner: Object, found: list[tuple[Kind, Object]]) -> None:
    """Delete the dependants; when none is left the owner may go."""
    dependants = [(one_kind, one) for one_kind, one in found if owned([one], owner)]
    for one_kind, one in dependants:
        if not deleting(one):
            _delete(cluster, one_kind, one)
    if not dependants:
        live = cluster.store.get(key_of(kind, owner))
        live["metadata"]["finalizers"] = [name for name in live["metadata"]["finalizers"] if name != FOREGROUND]
        cluster.store.update(kind, live)


def _empty(cluster: Cluster, namespace: Object, found: list[tuple[Kind, Object]]) -> None:
    """Delete what is in the namespace; when nothing is left it goes itself."""
    name = namespace["metadata"]["name"]
    inside = [(kind, one) for kind, one in found if kind.namespaced and one["metadata"]["namespace"] == name]
    for kind, one in inside:
        if not deleting(one):
            _delete(cluster, kind, one)
    if not inside and not namespace["metadata"].get("finalizers"):
        cluster.store.delete(key_of(kinds.NAMESPACE, namespace))
