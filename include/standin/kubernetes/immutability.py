"""Fields that cannot be changed once an object is there."""

from typing import Any

from include.standin.kubernetes import kinds
from include.standin.kubernetes.exceptions import Cause, Invalid
from include.standin.kubernetes.kinds import Kind
from include.standin.kubernetes.store import Object


def check_immutable(kind: Kind, live: Object, new: Object) -> None:
    """Invalid for a change of what cannot be changed."""
    name, causes = new["metadata"]["name"], []
    if kind in (kinds.CONFIG_MAP, kinds.SECRET) and live.get("immutable"):
        changed = [field for field in ("data", "binaryData", "immutable") if live.get(field) != new.get(field)]
        if changed:
            causes.append(Cause("FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set", changed[0]))
    if kind in (kinds.ROLE_BINDING, kinds.CLUSTER_ROLE_BINDING) and live.get("roleRef") != new.get("roleRef"):
        causes.append(Cause("FieldValueInvalid", "Invalid value: cannot change roleRef", "roleRef"))
    if kind is kinds.SECRET and live.get("type") != new.get("type"):
        causes.append(Cause("FieldValueInvalid", f'Invalid value: "{new.get("type")}": field is immutable', "type"))
    address = new.get("spec", {}).get("clusterIP")
    if kind is kinds.SERVICE and address and live["spec"].get("clusterIP") not in ("", None, address):
        causes.append(Cause("FieldValueInvalid", f'Invalid value: ["{address}"]: may not change once set', "spec.clusterIPs[0]"))
    if kind is kinds.POD and _fixed(live["spec"]) != _fixed(new["spec"]):
        causes.append(Cause("FieldValueForbidden", POD_FIXED, "spec"))
    if causes:
        raise Invalid(kind, name, causes)


POD_FIXED = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _fixed(spec: dict[str, Any]) -> dict[str, Any]:
    """What of a pod's spec cannot be changed; the node is set by whoever schedules it."""
    kept = {field: value for field, value in spec.items() if field not in ("activeDeadlineSeconds", "tolerations", "nodeName")}
    for field in ("containers", "initContainers"):
        kept[field] = [{key: value for key, value in one.items() if key != "image"} for one in spec.get(field) or ()]
    return kept
