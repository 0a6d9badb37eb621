"""Processes that belong to a home: those whose environment says so. `down` ends what is left of them."""

import os
from collections.abc import Iterable
from pathlib import Path

import psutil

from include.standin.home import SUPERVISED, Home

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""
ROUNDS = 5
"""A process that starts others while it is ended needs more than one look."""


def of_home(home: Home) -> list[psutil.Process]:
    """Every process that this home's supervisors started, directly or not, but this one and its ancestors."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for process in psutil.process_iter() if process.pid not in mine and _belongs(process, home.path)]


def _belongs(process: psutil.Process, path: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        said = process.environ().get(SUPERVISED)
        return bool(said) and _same(Path(process.cwd()) / str(said), path)
    except (psutil.Error, OSError):
        return False  # gone meanwhile, or another user's: not ours either way


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def end_all(home: Home, grace: float = GRACE) -> list[str]:
    """End them: SIGTERM, then SIGKILL. Gives the names of what was ended; RuntimeError when something cannot be."""
    ended: list[str] = []
    for _ in range(ROUNDS):
        found = of_home(home)
        if not found:
            return ended
        ended += [_name(process) for process in found]
        end(found, grace)
    left = of_home(home)
    if left:
        raise RuntimeError(f"these processes of {home.path} cannot be ended: {', '.join(str(process.pid) for process in left)}")
    return ended


def end(processes: Iterable[psutil.Process], grace: float = GRACE) -> None:
    """SIGTERM, then SIGKILL to those that are still there after the grace."""
    found = [*processes]
    _signal(found, kill=False)
    _, alive = psutil.wait_procs(found, timeout=grace)
    _signal(alive, kill=True)
    psutil.wait_procs(alive, timeout=grace)


def session(process: psutil.Process) -> int | None:
    """The session that it lives in; None when it is gone."""
    try:
        return os.getsid(process.pid)
    except OSError:
        return None


def _name(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline()[:5])}"
    except psutil.Error:
        return str(process.pid)


def _signal(processes: Iterable[psutil.Process], *, kill: bool) -> None:
    for process in processes:
        try:
            process.kill() if kill else process.terminate()
        except psutil.NoSuchProcess:
            continue
