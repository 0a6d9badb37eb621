"""The programs of an embedded cloud: how each is started, and how to see that it is well."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from include.standin.home import Home
from include.standin.place import LOOPBACK


class UnknownProgram(KeyError):
    """There is no program of that name."""


@dataclass(frozen=True)
class Program:
    """One program under the supervisor."""

    name: str
    command: tuple[str, ...]
    ports: tuple[int, ...]
    """Ports that it listens on."""
    health: str | None = None
    """https URL that answers 200 when it is well; None: it is well when its ports are open."""
    stop_within: int = 10
    """Seconds between SIGTERM and SIGKILL."""
    address: str = LOOPBACK
    """Where it listens."""


def programs(home: Home) -> list[Program]:
    """Every program of the home, in the order of their start."""
    found = [_azurite(home, "azurite-cloud"), *(_azurite(home, f"azurite-{site}") for site in home.sites)]
    found.append(_served(home, "storage", "blob", "queue"))
    found.append(_served(home, "cloud", "cloud"))
    found.append(_served(home, "registries", "candidates", "releases"))
    for site in embedded_sites(home):
        found.append(_served(home, f"kubernetes-{site}", f"kubernetes-{site}", health="/livez"))
        found.append(_served(home, f"node-{site}", f"node-{site}"))
    return found


def embedded_sites(home: Home) -> tuple[str, ...]:
    """The sites whose cluster is a stand-in."""
    return () if home.place.site_kubeconfig else home.sites


def _command(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "include.standin", "run", name)


def _azurite(home: Home, name: str) -> Program:
    queue = home.port(f"{name}-queue")
    # Azurite writes its metadata every 5 s and at SIGTERM: it must be given the time.
    return Program(name, _command(name), (home.port(name), queue), stop_within=30)


def _served(home: Home, name: str, *ports: str, health: str = "/_health") -> Program:
    listens = tuple(home.port(port) for port in ports)
    return Program(name, _command(name), listens, home.url(ports[0]) + health, address=home.place.address)


def _run_storage(home: Home) -> None:
    import_module("include.standin.storage.running").run(home)


def _run_cloud(home: Home) -> None:
    import_module("include.standin.cloud").run(home)


def _run_registries(home: Home) -> None:
    import_module("include.standin.registries").run(home)


def _run_for_site(kind: str, home: Home, site: str) -> None:
    module = import_module(f"include.standin.{kind}")
    run: Callable[[Home, str], Any] = module.run
    run(home, site)


def _run_azurite(home: Home, site: str) -> None:
    azurite = import_module("include.standin.storage.azurite")
    azurite.Azurite(home, None if site == "cloud" else site).run()


def run(home: Home, name: str) -> None:
    """Run one program in the foreground. UnknownProgram when there is none of that name."""
    if name not in {program.name for program in programs(home)}:
        raise UnknownProgram(f"there is no program {name!r}; there are {', '.join(program.name for program in programs(home))}")
    fixed = {"storage": _run_storage, "cloud": _run_cloud, "registries": _run_registries}
    if name in fixed:
        return fixed[name](home)
    kind, _, site = name.partition("-")
    return _run_azurite(home, site) if kind == "azurite" else _run_for_site(kind, home, site)
