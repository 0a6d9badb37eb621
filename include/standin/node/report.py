"""The status of a pod, and how it reaches the API server."""

import asyncio
import logging
from collections.abc import Callable

from include.standin.node.api import Api, ApiError, Json, now

AGAIN = 0.5
"""Seconds between tries when the API server does not take a status."""
log = logging.getLogger(__name__)


def conditions(before: list[Json], initialized: bool, unready: list[str], ended: bool) -> list[Json]:
    """A pod's conditions; a transition time moves only with its status."""
    known = {condition["type"]: condition for condition in before}
    because: Json = {}
    if ended:
        because = {"reason": "PodCompleted"}
    elif unready:
        because = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(unready)}]"}
    ready = not unready and not ended
    found = []
    for kind, good in (("PodScheduled", True), ("Initialized", initialized), ("ContainersReady", ready), ("Ready", ready)):
        status = "True" if good else "False"
        old = known.get(kind, {})
        since = old.get("lastTransitionTime") if old.get("status") == status else None
        found.append({"type": kind, "status": status, "lastTransitionTime": since or now()} | ({} if good else because))
    return found


class Reporter:
    """Writes the newest status of one pod; while the server is away, keeps trying with whatever is newest then."""

    def __init__(self, api: Api, pod: Json, status: Callable[[], Json]) -> None:
        metadata = pod["metadata"]
        self.api, self.status, self.uid = api, status, metadata["uid"]
        self.path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        self.asked = self.written = 0
        self.news = asyncio.Condition()
        self.gone = False
        self.wake = asyncio.Event()

    def changed(self) -> None:
        """The status is another."""
        self.asked += 1
        self.wake.set()

    async def flush(self) -> None:
        """Wait until the status of this moment is written, or the pod is gone."""
        self.changed()
        until = self.asked
        async with self.news:
            await self.news.wait_for(lambda: self.written >= until or self.gone)

    async def run(self) -> None:
        """Write until the pod is gone or the task is cancelled."""
        while not self.gone:
            await self.wake.wait()
            self.wake.clear()
            asked = self.asked
            if await self._write():
                async with self.news:
                    self.written = asked
                    self.news.notify_all()
            else:
                self.wake.set()
                await asyncio.sleep(AGAIN)

    async def _write(self) -> bool:
        try:
            await self.api.patch(self.path, {"metadata": {"uid": self.uid}, "status": self.status()})
        except ApiError as error:
            self.gone = error.status in (404, 409)  # 409: another pod has the name now
            if not self.gone:
                log.warning("status of %s: %s", self.path, error)
            return self.gone
        return True
