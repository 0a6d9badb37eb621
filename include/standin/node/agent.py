"""The node agent: a node whose containers are processes of this machine. It speaks nothing but the Kubernetes API."""

import asyncio
import contextlib
import logging
import platform
import ssl
from collections.abc import Iterable
from pathlib import Path

import aiohttp
from aiohttp import web

from include.standin.node.api import Access, Api, ApiError, Json, Listing, now, precise
from include.standin.node.attempt import remove
from include.standin.node.events import Events
from include.standin.node.images import Images
from include.standin.node.launch import Node
from include.standin.node.logs import Logs
from include.standin.node.pod import Pod, delete, folder_name, over
from include.standin.node.services import Services
from include.standin.node.settings import ConfigError, Settings

LEASE = 10
"""Seconds between two renewals; Kubernetes' figures, as is the next."""
LEASE_LASTS = 40
CAPACITY = {"cpu": "8", "memory": "8Gi", "pods": "110", "ephemeral-storage": "20Gi"}
"""What the scheduler may place. Nothing enforces it: see COVERAGE.md."""
log = logging.getLogger(__name__)


class Agent:
    """One node. `run` until cancelled; the pods live on, and the next agent adopts them."""

    def __init__(self, settings: Settings, access: Access) -> None:
        self.settings, self.access = settings, access
        self.pods: dict[str, Pod] = {}
        self.manifests: dict[str, Json] = {}
        """Every pod of this node, also those that are over, by uid."""
        self.last_address = 0
        self.deletions: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve the API server's pods for ever."""
        # Probes go to processes of this machine, and to nothing that a proxy of the environment knows.
        async with Api(self.access) as api, aiohttp.ClientSession() as pulls, self._probes() as probes:
            settings = self.settings
            self.node = Node(settings, api, Images(settings.images, settings.ca, pulls), Events(api, settings.node), probes)
            await self._serve_logs()
            await self._register()
            async with asyncio.TaskGroup() as group:
                for work in (self.node.events.run(), self._heartbeat(), self._follow(), self._renew(), Services(api, settings.bind).run()):
                    group.create_task(work)

    def _probes(self) -> aiohttp.ClientSession:
        tls = ssl.create_default_context(cafile=str(self.settings.ca))
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, force_close=True))

    async def _serve_logs(self) -> None:
        async def health(_: web.Request) -> web.Response:
            return web.Response(text="ok")

        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", Logs(self.find).get)
        app.router.add_get("/_health", health)
        app.router.add_get("/healthz", health)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.settings.certificate, self.settings.key)
        await web.TCPSite(runner, self.settings.bind, self.settings.port, ssl_context=tls).start()

    def find(self, namespace: str, name: str) -> tuple[Json, Path] | None:
        """The pod of a name on this node, and its folder."""
        for manifest in self.manifests.values():
            if (manifest["metadata"]["namespace"], manifest["metadata"]["name"]) == (namespace, name):
                return manifest, self.settings.folder / "pods" / folder_name(manifest)
        return None

    async def _register(self) -> None:
        labels = {"kubernetes.io/hostname": self.settings.node, "kubernetes.io/os": "linux", "kubernetes.io/arch": platform.machine()}
        node: Json = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.settings.node, "labels": labels}, "spec": {}}
        while True:
            try:
                await self.node.api.call("POST", "/api/v1/nodes", node)
                return
            except ApiError as error:
                if error.status == 409:
                    return
                log.warning("node %s: %s", self.settings.node, error)
                await asyncio.sleep(0.3)

    async def _heartbeat(self) -> None:
        """Tell that the node lives: its status, and its Lease."""
        since = now()
        for turn in range(1 << 62):
            try:
                if turn % 6 == 0:
                    await self.node.api.patch(f"/api/v1/nodes/{self.settings.node}/status", {"status": self._status(since)})
                await self._lease()
            except ApiError as error:
                log.warning("heartbeat of node %s: %s", self.settings.node, error)
                if error.status == 404:
                    await self._register()
            await asyncio.sleep(LEASE)

    def _status(self, since: str) -> Json:
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the node agent runs"}
        said = {"machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion"}
        info = dict.fromkeys(said | {"kubeProxyVersion"}, "") | {"operatingSystem": "linux", "architecture": platform.machine()}
        info |= {"kubeletVersion": "v1.36.0+edgeloop", "osImage": platform.platform(), "containerRuntimeVersion": "process://1"}
        return {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "conditions": [ready | {"lastHeartbeatTime": now(), "lastTransitionTime": since}],
            "addresses": self._addresses(),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.settings.port}},
            "nodeInfo": info,
        }

    def _addresses(self) -> list[Json]:
        said = {"InternalIP": self.settings.address, "Hostname": self.settings.node, "ExternalDNS": self.settings.host}
        return [{"type": kind, "address": address} for kind, address in said.items()]

    async def _lease(self) -> None:
        path, name = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", self.settings.node
        spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_LASTS, "renewTime": precise()}
        try:
            await self.node.api.patch(f"{path}/{name}", {"spec": spec})
        except ApiError as error:
            if error.status != 404:
                raise
            lease: Json = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec}
            await self.node.api.call("POST", path, lease | {"metadata": {"name": name, "namespace": "kube-node-lease"}})

    async def _follow(self) -> None:
        """Take the pods that the API server gives this node, forget those that it takes away."""
        async for news in self.node.api.follow("/api/v1/pods", fieldSelector=f"spec.nodeName={self.settings.node}"):
            if isinstance(news, Listing):
                self.manifests = {pod["metadata"]["uid"]: pod for pod in news.items}  # all addresses are known before one is given
                for pod in news.items:
                    self.take(pod)
                for uid in set(self.pods) - set(self.manifests):
                    await self.forget(uid)
                await asyncio.to_thread(self._clear, {folder_name(pod) for pod in news.items})
            elif news.kind == "DELETED":
                await self.forget(news.item["metadata"]["uid"])
                await asyncio.to_thread(remove, self.settings.folder / "pods" / folder_name(news.item))
            else:
                self.take(news.item)

    def take(self, manifest: Json) -> None:
        """Start, adopt, update or end a pod."""
        uid = manifest["metadata"]["uid"]
        self.manifests[uid] = manifest
        pod = self.pods.get(uid)
        if pod is None and over(manifest):
            if manifest["metadata"].get("deletionTimestamp"):
                self._delete(manifest)
            return
        if pod is None:
            self.pods[uid] = pod = Pod(self.node, manifest, self._address(manifest))
        pod.update(manifest)
        if pod.task.done() and manifest["metadata"].get("deletionTimestamp"):
            self._delete(manifest)

    def _delete(self, manifest: Json) -> None:
        task = asyncio.create_task(delete(self.node, manifest))
        self.deletions.add(task)
        task.add_done_callback(self.deletions.discard)

    async def forget(self, uid: str) -> None:
        """End what is left of a pod that the API no longer has."""
        self.manifests.pop(uid, None)
        self.node.events.forget(uid)
        if pod := self.pods.pop(uid, None):
            await pod.forget()

    def _clear(self, known: Iterable[str]) -> None:
        """End pods that went while no agent was here."""
        folder = self.settings.folder / "pods"
        for left in {path.name for path in folder.glob("*")} - set(known):
            log.info("pod %s is gone from the API", left)
            remove(folder / left)

    def _address(self, manifest: Json) -> str:
        """The pod's address: what its status says, else the next free one."""
        if manifest["spec"].get("hostNetwork"):
            return self.settings.address
        if said := (manifest.get("status") or {}).get("podIP"):
            return str(said)
        used = {(other.get("status") or {}).get("podIP") for other in self.manifests.values()} | {pod.address for pod in self.pods.values()}
        for _ in range(60_000):
            self.last_address = self.last_address % 60_000 + 1
            address = f"{self.settings.pod_network}.{self.last_address // 250}.{self.last_address % 250 + 1}"
            if address not in used:
                return address
        raise ConfigError(f"no free address in {self.settings.pod_network}.0.0")

    async def _renew(self) -> None:
        """Renew the pods' tokens."""
        while True:
            await asyncio.sleep(60)
            for pod in list(self.pods.values()):
                with contextlib.suppress(ConfigError):  # the old token still holds, and the next turn is near
                    await pod.launcher.identity.renew()
