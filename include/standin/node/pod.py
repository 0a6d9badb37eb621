"""One pod: its containers, its phase, its end."""

import asyncio
import logging
from datetime import UTC, datetime

from include.standin.node.api import ApiError, Json, now
from include.standin.node.attempt import remove
from include.standin.node.container import Container
from include.standin.node.launch import Launcher, Node
from include.standin.node.report import AGAIN, Reporter, conditions

log = logging.getLogger(__name__)


def folder_name(pod: Json) -> str:
    """The pod's folder under `pods`: names come again, so the uid is part of it."""
    metadata = pod["metadata"]
    return f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"


def over(pod: Json) -> bool:
    """Whether all containers of a pod have ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


class Pod:
    """A pod on this node, started or adopted: what runs of it already is found by its folder before anything else is done."""

    def __init__(self, node: Node, manifest: Json, address: str) -> None:
        self.node, self.manifest, self.address = node, manifest, address
        self.folder = node.settings.folder / "pods" / folder_name(manifest)
        status = manifest.get("status") or {}
        self.conditions: list[Json] = status.get("conditions") or []
        self.phase, self.reason = status.get("phase") or "Pending", ""
        self.started = status.get("startTime") or now()
        self.stopping = False
        self.reporter = Reporter(node.api, manifest, self.status)
        self.launcher = Launcher(node, manifest, self.folder, address)
        policy = manifest["spec"].get("restartPolicy") or "Always"
        self.initial = self._containers("initContainers", "initContainerStatuses", "OnFailure" if policy == "Always" else policy)
        self.containers = self._containers("containers", "containerStatuses", policy)
        self.initialized = not self.initial
        self.task = asyncio.create_task(self._live(), name=f"pod {manifest['metadata']['name']}")

    def _containers(self, spec: str, statuses: str, policy: str) -> list[Container]:
        before = {status["name"]: status for status in (self.manifest.get("status") or {}).get(statuses) or ()}
        return [
            Container(
                self.launcher,
                said,
                before.get(said["name"]),
                self.folder / "containers" / said["name"],
                policy,
                self.reporter.changed,
            )
            for said in self.manifest["spec"].get(spec) or ()
        ]

    def status(self) -> Json:
        """The PodStatus of this moment."""
        unready = [container.name for container in self.containers if not container.status["ready"]]
        if self.phase == "Pending" and any("waiting" not in c.status["state"] for c in self.containers):
            self.phase = "Running"
        self.conditions = conditions(self.conditions, self.initialized, unready, self.phase in ("Succeeded", "Failed"))
        return {
            "phase": self.phase,
            "reason": self.reason or None,
            "message": "Pod was active on the node longer than the specified deadline" if self.reason else None,
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "hostIP": self.node.settings.address,
            "startTime": self.started,
            "conditions": self.conditions,
            "initContainerStatuses": [c.status | {"ready": c.code == 0} for c in self.initial],
            "containerStatuses": [c.status for c in self.containers],
        }

    async def _live(self) -> None:
        helpers = [asyncio.create_task(self.reporter.run()), asyncio.create_task(self._deadline())]
        try:
            await self.reporter.flush()  # the address is on record before anything listens on it
            codes = await self._run()
            self.phase = "Succeeded" if all(code == 0 for code in codes) and not self.reason else "Failed"
            await self.reporter.flush()
            if self.stopping:
                await delete(self.node, self.manifest)
        except Exception:
            log.exception("pod %s", self.folder.name)
            raise
        finally:
            for helper in helpers:
                helper.cancel()

    async def _run(self) -> list[int | None]:
        """The exit codes of all containers; of the init container that failed, where one did."""
        if any(container.attempt for container in self.containers):
            self.initialized = True
        for container in () if self.initialized else self.initial:
            code = None if self.stopping else await _code(container)
            if code != 0:
                return [code]
        self.initialized = True
        self.reporter.changed()
        return list(await asyncio.gather(*(_code(container) for container in self.containers)))

    def update(self, manifest: Json) -> None:
        """Take the newest manifest; a pod that is to be deleted is stopped."""
        self.manifest = manifest
        if manifest["metadata"].get("deletionTimestamp"):
            grace = manifest["metadata"].get("deletionGracePeriodSeconds")
            self.stop(float(30 if grace is None else grace))

    def stop(self, grace: float) -> None:
        """Stop every container; the pod's task ends when they have ended."""
        if self.stopping and grace > 0:
            return
        self.stopping = True
        self.ending = asyncio.create_task(self._stop(grace), name=f"end of {self.folder.name}")

    async def _stop(self, grace: float) -> None:
        await asyncio.gather(*(container.stop(grace) for container in (*self.initial, *self.containers)))

    async def _deadline(self) -> None:
        """End a pod whose activeDeadlineSeconds are over."""
        seconds = self.manifest["spec"].get("activeDeadlineSeconds")
        if not seconds:
            return
        begun = datetime.strptime(self.started, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        await asyncio.sleep(max(0.0, seconds - (datetime.now(UTC) - begun).total_seconds()))
        self.reason = "DeadlineExceeded"
        await self._stop(float(self.manifest["spec"].get("terminationGracePeriodSeconds", 30)))

    async def forget(self) -> None:
        """The pod is gone from the API: end what is left of it at once, and remove its folder."""
        self.task.cancel()
        await asyncio.wait([self.task])
        for container in (*self.initial, *self.containers):
            if container.task is not None and not container.task.done():
                container.task.cancel()
        await asyncio.to_thread(remove, self.folder)


async def _code(container: Container) -> int | None:
    """The last exit code; None for a container that was stopped before it ran."""
    task = container.begin()
    await asyncio.wait([task])
    return None if task.cancelled() else task.result()


async def delete(node: Node, pod: Json) -> None:
    """The second phase of a deletion: the processes are gone, now the object goes."""
    metadata = pod["metadata"]
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
    while True:
        try:
            await node.api.call("DELETE", f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}", options)
            return
        except ApiError as error:
            if error.status in (404, 409):
                return
            log.warning("deletion of pod %s/%s: %s", metadata["namespace"], metadata["name"], error)
            await asyncio.sleep(AGAIN)
