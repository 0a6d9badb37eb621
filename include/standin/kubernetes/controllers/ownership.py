"""Owners of objects, conditions, readiness: what controllers ask of objects."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from include.standin.kubernetes.apply import now
from include.standin.kubernetes.kinds import Kind
from include.standin.kubernetes.selectors import lookup
from include.standin.kubernetes.store import Object


def reference(kind: Kind, owner: Object) -> list[dict[str, Any]]:
    """The ownerReferences of what a controller makes for the owner."""
    meta = owner["metadata"]
    said = {"apiVersion": kind.api_version, "kind": kind.kind, "name": meta["name"], "uid": meta["uid"]}
    return [said | {"controller": True, "blockOwnerDeletion": True}]


def owned(found: Iterable[Object], owner: Object) -> list[Object]:
    """Those that the owner controls."""
    uid = owner["metadata"]["uid"]
    return [one for one in found if any(ref["uid"] == uid for ref in one["metadata"].get("ownerReferences") or ())]


def deleting(found: Object) -> bool:
    """Whether it is on its way out."""
    return "deletionTimestamp" in found["metadata"]


def condition(found: Object, type_: str) -> dict[str, Any]:
    """The condition of that type, empty when there is none."""
    return next((one for one in lookup(found, "status.conditions") or () if one["type"] == type_), {})


def with_condition(conditions: list[dict[str, Any]], type_: str, value: bool, reason: str, message: str) -> list[dict[str, Any]]:
    """The conditions with one set; its times change only with its status (transition) or its reason (update)."""
    status = "True" if value else "False"
    old = next((one for one in conditions if one["type"] == type_), {})
    if (old.get("status"), old.get("reason"), old.get("message")) == (status, reason, message):
        return conditions
    since = old.get("lastTransitionTime", now()) if old.get("status") == status else now()
    new = {"type": type_, "status": status, "reason": reason, "message": message, "lastUpdateTime": now(), "lastTransitionTime": since}
    return [one for one in conditions if one["type"] != type_] + [new]


def ready(pod: Object) -> bool:
    """Whether the pod serves."""
    return condition(pod, "Ready").get("status") == "True" and not deleting(pod)


def seconds_since(stamp: str | None) -> float:
    """Seconds since an RFC 3339 time; 0 when there is none."""
    return (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds() if stamp else 0.0


def available(pod: Object, minimum: int) -> bool:
    """Whether the pod has been ready for so many seconds."""
    return ready(pod) and (not minimum or seconds_since(condition(pod, "Ready").get("lastTransitionTime")) >= minimum)
