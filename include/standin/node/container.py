"""One container of a pod: started or adopted, probed, restarted with back-off, stopped."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from include.standin.node.api import Json
from include.standin.node.attempt import Attempt
from include.standin.node.launch import Launch, Launcher
from include.standin.node.probes import Outcome, Probe
from include.standin.node.pull import ImageError
from include.standin.node.settings import ConfigError

RESTART_FIRST, RESTART_LONGEST = 1.0, 60.0
"""Seconds of back-off; Kubernetes waits 10 to 300, which is long for a program on one's own machine."""
PULL_FIRST, PULL_LONGEST = 1.0, 60.0
CONFIG_AGAIN = 2.0
"""Seconds until a missing Secret or ConfigMap is looked for again."""
STABLE = 600.0
"""Seconds of running after which the back-off starts afresh (Kubernetes' figure)."""
log = logging.getLogger(__name__)


class Container:
    """One container. `changed` is called whenever `status` (a ContainerStatus) has changed."""

    def __init__(self, launcher: Launcher, said: Json, before: Json | None, folder: Path, policy: str, changed: Callable[[], None]) -> None:
        self.launcher, self.said, self.folder, self.policy, self.changed = launcher, said, folder, policy, changed
        self.events, self.name = launcher.node.events, said["name"]
        self.attempt = Attempt.last(folder)
        self.stopping = False
        self.crashes = 0
        self.code: int | None = None
        self.status: Json = {"name": self.name, "image": said["image"], "imageID": "", "restartCount": 0, "lastState": {}} | (before or {})
        if self.attempt is None:
            self.status |= {"ready": False, "started": False, "state": {"waiting": {"reason": "ContainerCreating"}}}
        self.task: asyncio.Task[int | None] | None = None

    def begin(self) -> "asyncio.Task[int | None]":
        """Run it in a task, whose result is the last exit code; None when it never ran."""
        self.task = self.task or asyncio.create_task(self._run(), name=f"container {self.name}")
        return self.task

    async def _run(self) -> int | None:
        try:
            while True:
                if self.attempt is None:
                    if self.stopping:
                        return self.code
                    self.attempt = await self._start()
                self.code = await self._watch(self.attempt)
                if not self._again(self.code):
                    return self.code
                await self._back_off()
                self.attempt = None
        except asyncio.CancelledError:
            if not self.stopping:
                raise
            return self.code

    async def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL after the grace (seconds). A container that does not run stops trying to."""
        self.stopping = True
        if self.attempt is not None and self.attempt.alive():
            task = self.begin()
            if grace > 0:
                self.attempt.terminate()
                await asyncio.wait([task], timeout=grace)
            if not task.done():
                self.attempt.kill()
            await asyncio.wait([task])
        elif self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])

    async def _start(self) -> Attempt:
        """Prepare until it succeeds, then start the process."""
        delay = PULL_FIRST
        while True:
            try:
                return self._started(await self.launcher.prepare(self.said, await self.launcher.image(self.said)))
            except ImageError as error:
                message = f'Failed to pull image "{self.said["image"]}": {error}'
                await self._refused("ErrImagePull", message, delay, "ImagePullBackOff", f'Back-off pulling image "{self.said["image"]}"')
                delay = min(delay * 2, PULL_LONGEST)
            except ConfigError as error:
                await self._refused("CreateContainerConfigError", str(error), CONFIG_AGAIN)
            except (OSError, ValueError) as error:
                await self._refused("CreateContainerError", str(error), CONFIG_AGAIN)

    def _started(self, launch: Launch) -> Attempt:
        """Start the process; nothing can be cancelled between its start and the knowledge of it."""
        self.attempt = attempt = Attempt.start(self.folder, self._number(), launch.argv, launch.env, launch.folder)
        ready = "readinessProbe" not in self.said and "startupProbe" not in self.said
        self.status |= {"started": "startupProbe" not in self.said, "ready": ready, "restartCount": attempt.number}
        self.status["imageID"] = f"{self.said['image'].partition('@')[0]}@{launch.digest}"
        self.events.say(self.launcher.pod, "Started", f"Started container {self.name}", self.name)
        return attempt

    def _number(self) -> int:
        """The next attempt's number: Kubernetes' restartCount."""
        last = Attempt.last(self.folder)
        lost = self.status["restartCount"] + 1 if self.status.get("containerID") and last is None else 0
        return last.number + 1 if last else lost

    async def _refused(self, reason: str, message: str, delay: float, later: str = "", says: str = "") -> None:
        log.warning("container %s of pod %s: %s: %s", self.name, self.launcher.pod["metadata"]["name"], reason, message)
        self._set({"waiting": {"reason": reason, "message": message}})
        self.events.say(self.launcher.pod, "Failed", f"Error: {reason}: {message}", self.name, warning=True)
        if later:
            await asyncio.sleep(min(delay, PULL_FIRST) / 2)  # both reasons are to be seen, as on a real node
            self._set({"waiting": {"reason": later, "message": f"{says}: {message}"}})
            self.events.say(self.launcher.pod, "BackOff", says, self.name, warning=True)
        await asyncio.sleep(delay)

    async def _watch(self, attempt: Attempt) -> int:
        """Follow the attempt to its end."""
        await attempt.begun()
        if attempt.alive():
            self.status["containerID"] = f"process://{attempt.pid}"
            self.status["restartCount"] = attempt.number
            self._set({"running": {"startedAt": attempt.started_at()}})
            probing = asyncio.create_task(self._probe(attempt), name=f"probes of {self.name}")
            try:
                await attempt.ended()
            finally:
                probing.cancel()
        await attempt.ended()
        self._set_ended(attempt)
        return attempt.code

    def _set_ended(self, attempt: Attempt) -> None:
        code = attempt.code
        end = {
            "exitCode": code,
            "reason": "Completed" if code == 0 else "Error",
            "startedAt": attempt.started_at(),
            "finishedAt": attempt.finished_at(),
            "containerID": self.status.get("containerID") or "process://gone",
        }
        self.status |= {"ready": False, "started": False}
        self._set({"terminated": end})

    def _set(self, state: Json) -> None:
        self.status["state"] = state
        self.changed()

    def _again(self, code: int) -> bool:
        return not self.stopping and (self.policy == "Always" or (self.policy == "OnFailure" and code != 0))

    async def _back_off(self) -> None:
        ended = self.status["state"]
        self.crashes = 0 if _seconds(self.attempt) > STABLE else self.crashes
        delay = min(RESTART_FIRST * 2**self.crashes, RESTART_LONGEST)
        self.crashes += 1
        said = f"back-off {delay:g}s restarting failed container={self.name} pod={self.launcher.pod['metadata']['name']}"
        self.status["lastState"] = ended
        self._set({"waiting": {"reason": "CrashLoopBackOff", "message": said}})
        self.events.say(self.launcher.pod, "BackOff", f"Back-off restarting failed container {self.name}", self.name, warning=True)
        await asyncio.sleep(delay)

    async def _probe(self, attempt: Attempt) -> None:
        if "startupProbe" in self.said and not self.status["started"]:
            async for outcome in self._outcomes("startupProbe", attempt, eager=True):
                if not outcome.good:
                    return await self._unhealthy("Startup", outcome.detail, attempt)
                break
            self.status |= {"started": True, "ready": "readinessProbe" not in self.said}
            self.changed()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._readiness(attempt))
            group.create_task(self._liveness(attempt))

    async def _readiness(self, attempt: Attempt) -> None:
        if "readinessProbe" not in self.said:
            return
        async for outcome in self._outcomes("readinessProbe", attempt, eager=True):
            if outcome.good != self.status["ready"]:
                self.status["ready"] = outcome.good
                self.changed()
            if not outcome.good:
                self._event("Unhealthy", f"Readiness probe failed: {outcome.detail}")

    async def _liveness(self, attempt: Attempt) -> None:
        if "livenessProbe" not in self.said:
            return
        async for outcome in self._outcomes("livenessProbe", attempt, eager=False):
            if not outcome.good:
                return await self._unhealthy("Liveness", outcome.detail, attempt)

    def _outcomes(self, kind: str, attempt: Attempt, eager: bool) -> AsyncIterator[Outcome]:
        node = self.launcher.node
        return Probe(self.said[kind], self.said, self.launcher.address, node.probes, attempt).outcomes(eager)

    async def _unhealthy(self, kind: str, detail: str, attempt: Attempt) -> None:
        """Stop the attempt; the restart policy does the rest. This task is cancelled when the attempt has ended."""
        self._event("Unhealthy", f"{kind} probe failed: {detail}")
        self._event("Killing", f"Container {self.name} failed {kind.lower()} probe, will be restarted")
        attempt.terminate()
        await asyncio.sleep(self.launcher.pod["spec"].get("terminationGracePeriodSeconds", 30))
        attempt.kill()

    def _event(self, reason: str, message: str) -> None:
        self.events.say(self.launcher.pod, reason, message, self.name, warning=True)


def _seconds(attempt: Attempt | None) -> float:
    """How long an attempt ran."""
    if attempt is None or not attempt.path("exit").exists() or not attempt.path("pid").exists():
        return 0.0
    return attempt.path("exit").stat().st_mtime - attempt.path("pid").stat().st_mtime
