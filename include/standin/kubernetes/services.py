"""What a Service has by its type, keeps over an update and must not have (Kubernetes: `registry/core/service/strategy.go`)."""

from collections.abc import Iterator
from typing import Any

from include.standin.kubernetes.exceptions import Cause

Spec = dict[str, Any]

OUTSIDE = ("LoadBalancer", "NodePort")
"""Types that are reached from outside the cluster."""
INSIDE = ("ClusterIP", *OUTSIDE)
"""Types that have an address in the cluster."""
TYPES = ("ClusterIP", "ExternalName", *OUTSIDE)
TYPED = dict.fromkeys(("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"), INSIDE) | {
    "externalTrafficPolicy": OUTSIDE,
    "allocateLoadBalancerNodePorts": ("LoadBalancer",),
}
"""Field -> types that have it: it goes with the last of them, unless the update says it anew."""


def carry(old: Spec, new: Spec) -> None:
    """Give an updated Service, in place, what the stored one was given, and take away what its type no longer has."""
    if old["type"] in INSIDE and new["type"] in INSIDE:
        for field in ("clusterIP", "clusterIPs"):
            if old.get(field) and not new.get(field):
                new[field] = old[field]
    for field, types in TYPED.items():
        if old["type"] in types and new["type"] not in types and new.get(field) == old.get(field):
            new.pop(field, None)
    if old["type"] in OUTSIDE and new["type"] in OUTSIDE:
        _keep_node_ports(old, new)
    elif old["type"] in OUTSIDE and _node_ports(new) <= _node_ports(old):
        for port in new.get("ports") or ():
            port.pop("nodePort", None)


def _keep_node_ports(old: Spec, new: Spec) -> None:
    """Ports that name no node port get the one that the port of the same name had."""
    had = {port.get("name"): port.get("nodePort") for port in old.get("ports") or ()}
    used = _node_ports(new)
    for port in new.get("ports") or ():
        kept = had.get(port.get("name"))
        if kept and not port.get("nodePort") and kept not in used:
            port["nodePort"] = kept
            used.add(kept)


def _node_ports(spec: Spec) -> set[int]:
    return {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}


def check(spec: Spec) -> Iterator[Cause]:
    """What a Service of its type must not have."""
    found = spec["type"]
    if found not in TYPES:
        supported = ", ".join(f'"{name}"' for name in TYPES)
        yield Cause("FieldValueNotSupported", f'Unsupported value: "{found}": supported values: {supported}', "spec.type")
    elif found in OUTSIDE:
        if spec.get("clusterIP") == "None":
            why = f"Invalid value: \"None\": may not be set to 'None' for {found} services"
            yield Cause("FieldValueInvalid", why, "spec.clusterIPs[0]")
    else:
        yield from _inside_only(spec)


def _inside_only(spec: Spec) -> Iterator[Cause]:
    for number, port in enumerate(spec.get("ports") or ()):
        if port.get("nodePort") and spec["type"] == "ClusterIP":
            yield Cause("FieldValueForbidden", "Forbidden: may not be used when `type` is 'ClusterIP'", f"spec.ports[{number}].nodePort")
    if policy := spec.get("externalTrafficPolicy"):
        why = f'Invalid value: "{policy}": may only be set for externally-accessible services'
        yield Cause("FieldValueInvalid", why, "spec.externalTrafficPolicy")
