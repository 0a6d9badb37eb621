"""Addresses and node ports of Services: each belongs to one Service until it is deleted or its type needs it no longer."""

import random
from collections.abc import Iterator
from typing import Any

from include.standin.kubernetes import kinds
from include.standin.kubernetes.exceptions import Cause, InternalError, Invalid
from include.standin.kubernetes.services import INSIDE, OUTSIDE
from include.standin.kubernetes.store import Object, Store

NODE_PORTS = range(30_000, 32_768)
ON_REQUEST = NODE_PORTS[:86]
"""Given to those who name them, and to others when nothing else is left (KEP-3668: the size of the range / 32, 16 to 128)."""
OUT_OF_RANGE = f"provided port is not in the valid range. The range of valid ports is {NODE_PORTS[0]}-{NODE_PORTS[-1]}"

Holder = tuple[str, int]
"""Uid of a Service and one of its ports. The protocols of a port share its node port."""


class Allocator:
    """Who has which address and node port is what the store says; nothing else is kept."""

    def __init__(self, store: Store, services: str) -> None:
        self.store = store
        self.services = services
        """First two numbers of the site's service addresses: `127.61`."""

    def allocate(self, service: Object) -> None:
        """Give a Service, in place, what its type needs. Invalid for a node port that it cannot have; InternalError when none is left."""
        spec = service["spec"]
        if spec["type"] in INSIDE:
            if not spec.get("clusterIP"):
                spec["clusterIP"] = self._free_address()
            for field, value in (("clusterIPs", [spec["clusterIP"]]), ("ipFamilies", ["IPv4"]), ("ipFamilyPolicy", "SingleStack")):
                spec[field] = spec.get(field) or value
        if spec["type"] in OUTSIDE:
            self._node_ports(service)

    def _node_ports(self, service: Object) -> None:
        spec, uid = service["spec"], service["metadata"]["uid"]
        holders = {node_port: holder for node_port, holder in self._holders() if holder[0] != uid}
        shared = {port["port"]: port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
        for number, port in enumerate(spec.get("ports") or ()):
            if not port.get("nodePort") and spec.get("allocateLoadBalancerNodePorts") is False:
                continue
            wanted = port.get("nodePort") or shared.get(port["port"]) or _free(holders)
            if why := _refusal(wanted, (uid, port["port"]), holders):
                cause = Cause("FieldValueInvalid", f"Invalid value: {wanted}: {why}", f"spec.ports[{number}].nodePort")
                raise Invalid(kinds.SERVICE, service["metadata"]["name"], [cause])
            port["nodePort"] = shared[port["port"]] = wanted
            holders[wanted] = (uid, port["port"])

    def _holders(self) -> Iterator[tuple[int, Holder]]:
        for service in self.store.all(kinds.SERVICE):
            for port in service["spec"].get("ports") or ():
                if port.get("nodePort"):
                    yield port["nodePort"], (service["metadata"]["uid"], port["port"])

    def _free_address(self) -> str:
        """The first address of the site's range that no service has; .0.1 is the API server's own."""
        taken = {found.get("spec", {}).get("clusterIP") for found in self.store.all(kinds.SERVICE)}
        return next(address for address in _addresses(self.services) if address not in taken)


def _refusal(wanted: int, asking: Holder, holders: dict[int, Holder]) -> str:
    if wanted not in NODE_PORTS:
        return OUT_OF_RANGE
    return "" if holders.get(wanted, asking) == asking else "provided port is already allocated"


def _free(holders: dict[int, Any]) -> int:
    """Any port that nobody has, as the real server chooses: two sites of one machine do not choose the same."""
    for ports in (NODE_PORTS[len(ON_REQUEST) :], ON_REQUEST):
        if left := [port for port in ports if port not in holders]:
            return random.choice(left)  # noqa: S311 - a port, not a secret
    raise InternalError("failed to allocate a nodePort: range is full")


def _addresses(services: str) -> Iterator[str]:
    yield from (f"{services}.{number // 250}.{number % 250 + 2}" for number in range(60_000))
