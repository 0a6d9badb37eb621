"""One run of a container: a keeper process and its files, found again by whoever comes later."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

KEEPER = Path(__file__).with_name("keeper.py")
MARK = "EDGELOOP_ATTEMPT"
"""Variable of every process of a run: which run. Process ids come again, also in a container that was started again."""
KILLED = 137
"""Exit code of a container whose keeper was killed: 128 + SIGKILL."""


class Attempt:
    """The n-th run of a container. Its files are `<folder>/<n>.{lock,pid,log,exit}`."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number
        self.child: subprocess.Popen[bytes] | None = None

    @classmethod
    def last(cls, folder: Path) -> "Attempt | None":
        """The newest attempt in a container's folder, running or not; None when it never ran."""
        numbers = [int(path.stem) for path in folder.glob("*.lock") if path.stem.isdigit()]
        return cls(folder, max(numbers)) if numbers else None

    @classmethod
    def start(cls, folder: Path, number: int, argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> "Attempt":
        """Start a keeper in its own session. It is not awaited: nothing can come between the start and the knowledge of it."""
        folder.mkdir(parents=True, exist_ok=True)
        attempt = cls(folder, number)
        for old in folder.iterdir():
            if old.name.partition(".")[0] not in (str(number - 1), str(number)):
                old.unlink(missing_ok=True)
        attempt.child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(KEEPER), str(folder / str(number)), *argv],
            env={**env, MARK: str(folder / str(number))},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return attempt

    def path(self, ending: str) -> Path:
        """One of its files."""
        return self.folder / f"{self.number}.{ending}"

    @property
    def pid(self) -> int | None:
        """The keeper's process id, which is its group's."""
        if self.child is not None:
            return self.child.pid
        return _number(self.path("pid"))

    @property
    def code(self) -> int:
        """Exit code; KILLED when nobody was left to write it."""
        code = _number(self.path("exit"))
        return KILLED if code is None else code

    def alive(self) -> bool:
        """Whether the keeper lives. The lock tells, so a process id that came back means nothing."""
        if self.child is not None and self.child.poll() is None:
            return True
        return self._locked()

    def _locked(self) -> bool:
        try:
            lock = os.open(self.path("lock"), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    async def begun(self) -> None:
        """Wait until the keeper has said who it is, or has died of it: from then on others find it, and its log."""
        while self.child is not None and self.child.poll() is None and not self.path("pid").exists():  # noqa: ASYNC110 - another process's file
            await asyncio.sleep(0.01)

    async def ended(self) -> None:
        """Wait for the end of a process that need not be a child; then nothing of its group is left."""
        while self.alive():
            pid = self.pid
            if pid is None:  # it holds the lock and is about to write its number
                await asyncio.sleep(0.02)
                continue
            await _exit(pid)
            if self.child is not None:
                self.child.poll()
                self.child = None
        self.sweep()

    def terminate(self) -> None:
        """SIGTERM to the program, by its keeper."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to everything of the container that did not leave its process group."""
        if self.alive() and (pid := self.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.alive() and (pid := self.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def sweep(self) -> None:
        """Kill what outlived a keeper that was killed: nothing may hold the pod's address. Its mark tells it, whatever number it has."""
        if self._locked() or not Path("/proc/self").exists():
            return
        mark = f"{MARK}={self.folder / str(self.number)}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)

    def started_at(self) -> str:
        """When the keeper started, as Kubernetes writes times."""
        return _time(self.path("pid"))

    def finished_at(self) -> str:
        """When the program ended; now, if nobody wrote it down."""
        return _time(self.path("exit"))


async def _exit(pid: int) -> None:
    if not hasattr(os, "pidfd_open"):
        await asyncio.sleep(0.5)
        return
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        await asyncio.sleep(0.01)
        return
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, done.set)
    try:
        await done.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _time(path: Path) -> str:
    try:
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        at = datetime.now(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def remove(pod: Path) -> None:
    """End every process of a pod's folder at once, and the folder with it."""
    for container in (pod / "containers").glob("*"):
        if attempt := Attempt.last(container):
            attempt.kill()
            attempt.sweep()
    shutil.rmtree(pod, ignore_errors=True)
