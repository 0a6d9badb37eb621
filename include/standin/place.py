"""Where the programs of an embedded cloud listen, and by which names others reach them: one machine's loopback, or containers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOOPBACK = "127.0.0.1"
BIND, HOSTS, SITE_KUBECONFIG = "EDGELOOP_BIND", "EDGELOOP_HOSTS", "EDGELOOP_SITE_KUBECONFIG"


@dataclass(frozen=True)
class Place:
    """What the three variables say (docs/contracts.md). Kept by a home, since its URLs are written down in many places."""

    bind: str = LOOPBACK
    """Address that the TLS servers listen on."""
    host: str = "localhost"
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Name of a port -> host, for those that are not reached by `host`."""
    site_kubeconfig: str = ""
    """Path of an administrator's kubeconfig; empty: the sites are embedded."""

    @classmethod
    def named(cls) -> "Place":
        """The place that the environment names."""
        return cls(**_said(os.environ))

    def agrees(self, environment: Mapping[str, str]) -> bool:
        """Whether the environment names this place or none."""
        return all(getattr(self, name) == value for name, value in _said(environment).items())

    @property
    def names(self) -> list[str]:
        """Every name that a server's certificate must hold, beside those of loopback."""
        return sorted({self.host, *self.hosts.values()} - {"localhost"})

    @property
    def address(self) -> str:
        """An address of this machine that its own servers answer at."""
        return LOOPBACK if self.bind in ("0.0.0.0", LOOPBACK) else self.bind  # noqa: S104 - a comparison


def _said(environment: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a Place that the environment has a value for."""
    found: dict[str, Any] = {}
    if bind := environment.get(BIND):
        found["bind"] = bind
    if hosts := environment.get(HOSTS):
        by_name = {name: host for name, _, host in (word.strip().rpartition("=") for word in hosts.split(","))}
        if everything := by_name.pop("", None):
            found["host"] = everything
        found["hosts"] = by_name
    if path := environment.get(SITE_KUBECONFIG):
        found["site_kubeconfig"] = os.path.abspath(path)
    return found
