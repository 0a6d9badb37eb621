"""Events of pods: what `kubectl describe` and the pod operator show."""

import asyncio
import logging
from dataclasses import dataclass

from include.standin.node.api import Api, ApiError, Json, now

WAITING = 1000
"""Events that may wait for the API server; more are dropped: events are best effort, as everywhere in Kubernetes."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """One thing that happened to a pod."""

    pod: Json
    """The pod's metadata."""
    reason: str
    message: str
    container: str
    warning: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two events the same."""
        return self.pod["uid"], self.reason, self.message


class Events:
    """Writes events in the background; one that comes again is counted, not repeated."""

    def __init__(self, api: Api, node: str) -> None:
        self.api, self.node = api, node
        self.known: dict[tuple[str, str, str], tuple[str, int]] = {}
        self.queue: asyncio.Queue[Event] = asyncio.Queue(WAITING)

    def say(self, pod: Json, reason: str, message: str, container: str = "", warning: bool = False) -> None:
        """Tell an event about a pod. Never waits."""
        try:
            self.queue.put_nowait(Event(pod["metadata"], reason, message[:1000], container, warning))
        except asyncio.QueueFull:
            log.warning("event %s of pod %s is dropped: %s", reason, pod["metadata"]["name"], message)

    async def run(self) -> None:
        """Write for ever."""
        while True:
            event = await self.queue.get()
            try:
                await self._write(event)
            except ApiError as error:
                self.known.pop(event.key, None)
                log.warning("event %s of pod %s: %s", event.reason, event.pod["name"], error)

    async def _write(self, event: Event) -> None:
        path = f"/api/v1/namespaces/{event.pod['namespace']}/events"
        name, count = self.known.get(event.key, ("", 0))
        if name:
            await self.api.patch(f"{path}/{name}", {"count": count + 1, "lastTimestamp": now()})
        else:
            name = (await self.api.call("POST", path, self._object(event)))["metadata"]["name"]
        self.known[event.key] = (name, count + 1)

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a pod that is gone."""
        self.known = {key: value for key, value in self.known.items() if key[0] != uid}

    def _object(self, event: Event) -> Json:
        metadata = event.pod
        subject = {"kind": "Pod", "apiVersion": "v1", "resourceVersion": metadata.get("resourceVersion", "")}
        subject |= {name: metadata[name] for name in ("name", "namespace", "uid")}
        if event.container:
            subject["fieldPath"] = f"spec.containers{{{event.container}}}"
        at = now()
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name'][:200]}.", "namespace": metadata["namespace"]},
            "involvedObject": subject,
            "type": "Warning" if event.warning else "Normal",
            "reason": event.reason,
            "message": event.message,
            "source": {"component": "kubelet", "host": self.node},
            "reportingComponent": "kubelet",
            "reportingInstance": self.node,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
        }
