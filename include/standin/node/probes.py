"""Readiness, liveness and startup probes: httpGet, tcpSocket and exec."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from include.standin.node.api import Json
from include.standin.node.attempt import Attempt
from include.standin.node.images import interpreter
from include.standin.node.settings import ConfigError

EAGER = 0.2
"""Seconds between readiness probes of a container that is not ready yet, where periodSeconds is longer: local programs start fast."""


def port_of(container: Json, port: int | str) -> int:
    """A port's number, by number or by name; ConfigError for a name that the container does not declare."""
    if isinstance(port, int):
        return port
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return int(declared["containerPort"])
    if port.isdigit():
        return int(port)
    raise ConfigError(f"port {port!r} is not declared by container {container['name']}")


@dataclass(frozen=True)
class Outcome:
    """What a row of probes says, and the last thing that was seen."""

    good: bool
    detail: str


class Probe:
    """One probe of one container."""

    def __init__(self, said: Json, container: Json, address: str, session: aiohttp.ClientSession, attempt: Attempt) -> None:
        self.said, self.container, self.address, self.session, self.attempt = said, container, address, session, attempt
        self.timeout = float(said.get("timeoutSeconds") or 1)
        self.period = float(said.get("periodSeconds") or 10)

    async def outcomes(self, eager: bool) -> AsyncIterator[Outcome]:
        """The outcome whenever it changes, from success or failure thresholds on; repeated failures once per threshold.

        With `eager`, the probe is asked often until it is good.
        """
        await asyncio.sleep(self.said.get("initialDelaySeconds") or 0)
        good = bad = 0
        while True:
            detail = await self.once()
            good, bad = (good + 1, 0) if not detail else (0, bad + 1)
            if good == (self.said.get("successThreshold") or 1):
                yield Outcome(True, "")
            if bad and bad % (self.said.get("failureThreshold") or 3) == 0:
                yield Outcome(False, detail)
            await asyncio.sleep(min(EAGER, self.period) if eager and not good else self.period)

    async def once(self) -> str:
        """Ask once: nothing when it is good, else what was seen."""
        try:
            async with asyncio.timeout(self.timeout):
                return await self._ask()
        except TimeoutError:
            return f"no answer within {self.timeout:g} s"
        except (aiohttp.ClientError, OSError, ConfigError) as error:
            return str(error)

    async def _ask(self) -> str:
        if "httpGet" in self.said:
            return await self._http(self.said["httpGet"])
        if "tcpSocket" in self.said:
            _, writer = await asyncio.open_connection(*self._place(self.said["tcpSocket"]))
            writer.close()
            return ""
        if "exec" in self.said:
            return await self._program(self.said["exec"]["command"])
        return f"this node has no probes of kind {', '.join(self.said)}"

    def _place(self, said: Json) -> tuple[str, int]:
        return said.get("host") or self.address, port_of(self.container, said["port"])

    async def _http(self, said: Json) -> str:
        host, port = self._place(said)
        url = f"{(said.get('scheme') or 'HTTP').lower()}://{host}:{port}/{(said.get('path') or '/').lstrip('/')}"
        headers = {"User-Agent": "kube-probe/edgeloop"} | {h["name"]: h["value"] for h in said.get("httpHeaders") or ()}
        async with self.session.get(url, headers=headers) as answer:
            return "" if 200 <= answer.status < 400 else f"HTTP probe failed with statuscode: {answer.status}"

    async def _program(self, command: list[str]) -> str:
        """Run a program as the container would: with the keeper's environment and folder, which Linux shows."""
        keeper = Path(f"/proc/{self.attempt.pid}")
        if not keeper.exists():
            return "exec probes need Linux and a running container"
        env = dict(entry.split(b"=", 1) for entry in (keeper / "environ").read_bytes().split(b"\0") if b"=" in entry)
        process = await asyncio.create_subprocess_exec(
            interpreter(command[0]),
            *command[1:],
            env=env,
            cwd=os.readlink(keeper / "cwd"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return "" if process.returncode == 0 else output[-500:].decode(errors="replace") or f"exit code {process.returncode}"
