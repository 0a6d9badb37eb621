"""The service proxy: a listener on each cluster IP and port and on each node port, whose connections go to the ready pods in turn."""

import asyncio
import ipaddress
import logging
from dataclasses import dataclass

from include.standin.node.api import Api, Json, Listing
from include.standin.node.probes import port_of
from include.standin.node.settings import ConfigError

BLOCK = 65_536
AGAIN = 1.0
"""Seconds until an address that is still taken is tried again."""
log = logging.getLogger(__name__)

Key = tuple[str, str]
"""Namespace and name."""
Endpoint = tuple[str, int]


def key_of(item: Json) -> Key:
    """Namespace and name of an object."""
    return item["metadata"]["namespace"], item["metadata"]["name"]


def ready(pod: Json) -> bool:
    """Whether a pod takes connections: Ready, and not about to end."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    good = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return good and not pod["metadata"].get("deletionTimestamp")


@dataclass(frozen=True)
class Listener:
    """Where one port of one service is reached."""

    service: Key
    address: str
    port: int
    target: int
    """The service's port; another than `port` where that is a node port."""


class Services:
    """The services of a site, as its API server lists them."""

    def __init__(self, api: Api, bind: str) -> None:
        self.api, self.bind = api, bind
        self.services: dict[Key, Json] = {}
        self.pods: dict[Key, Json] = {}
        self.servers: dict[Listener, asyncio.Server] = {}
        self.turn: dict[Listener, int] = {}
        self.changed = asyncio.Event()

    async def run(self) -> None:
        """Proxy for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow("/api/v1/services", self.services))
                group.create_task(self._follow("/api/v1/pods", self.pods))
                group.create_task(self._listen())
        finally:
            for server in self.servers.values():
                server.close()

    async def _follow(self, path: str, known: dict[Key, Json]) -> None:
        async for news in self.api.follow(path):
            if isinstance(news, Listing):
                known.clear()
                known.update({key_of(item): item for item in news.items})
            elif news.kind == "DELETED":
                known.pop(key_of(news.item), None)
            else:
                known[key_of(news.item)] = news.item
            self.changed.set()

    async def _listen(self) -> None:
        while True:
            wanted = self._wanted()
            for listener in set(self.servers) - wanted:
                self.servers.pop(listener).close()
                self.turn.pop(listener, None)
            opened = [await self._open(listener) for listener in wanted - set(self.servers)]
            try:
                async with asyncio.timeout(None if all(opened) else AGAIN):
                    await self.changed.wait()
            except TimeoutError:
                continue
            self.changed.clear()

    def _wanted(self) -> set[Listener]:
        """Ports of services that have a selector and an address of this machine's loopback network: there, and at the node."""
        found = set()
        for key, service in self.services.items():
            address = service["spec"].get("clusterIP") or "None"
            if service["spec"].get("selector") and address != "None" and ipaddress.ip_address(address).is_loopback:
                ports = [port for port in service["spec"].get("ports") or () if port.get("protocol", "TCP") == "TCP"]
                found |= {Listener(key, address, port["port"], port["port"]) for port in ports}
                found |= {Listener(key, self.bind, port["nodePort"], port["port"]) for port in ports if port.get("nodePort")}
        return found

    async def _open(self, listener: Listener) -> bool:
        try:
            self.servers[listener] = await asyncio.start_server(
                lambda reader, writer: self._connected(listener, reader, writer), listener.address, listener.port
            )
        except OSError as error:
            log.warning("service %s: %s:%d: %s", "/".join(listener.service), listener.address, listener.port, error)
            return False
        return True

    def endpoints(self, listener: Listener) -> list[Endpoint]:
        """Address and port of the ready pods, in the order of their names."""
        service = self.services.get(listener.service)
        port = next((p for p in service["spec"].get("ports") or () if p["port"] == listener.target), None) if service else None
        if service is None or port is None:
            return []
        found = []
        for (namespace, _), pod in sorted(self.pods.items()):
            labels = pod["metadata"].get("labels") or {}
            if namespace == listener.service[0] and service["spec"]["selector"].items() <= labels.items() and ready(pod):
                target = _target(pod, port.get("targetPort") or port["port"])
                found += [(pod["status"]["podIP"], target)] if target else []
        return found

    async def _connected(self, listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if backend := await self._backend(listener):
                await asyncio.gather(_pump(reader, backend[1]), _pump(backend[0], writer))
        except OSError as error:
            log.debug("service %s: a connection broke: %s", "/".join(listener.service), error)
        finally:
            writer.close()
            if backend:
                backend[1].close()

    async def _backend(self, listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection to the pod whose turn it is; to the next one where it does not answer."""
        endpoints = self.endpoints(listener)
        for _ in endpoints:
            turn = self.turn[listener] = self.turn.get(listener, -1) + 1
            try:
                return await asyncio.wait_for(asyncio.open_connection(*endpoints[turn % len(endpoints)]), 5)
            except (OSError, TimeoutError) as error:
                log.info("service %s: %s", "/".join(listener.service), error)
        return None


def _target(pod: Json, port: int | str) -> int | None:
    for container in pod["spec"]["containers"]:
        try:
            return port_of(container, port)
        except ConfigError:
            continue
    return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(BLOCK):
            writer.write(data)
            await writer.drain()
    finally:
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()
