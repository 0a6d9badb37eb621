"""Runs one job's command and outlives the stand-in: a process of its own session, which writes down how the command ended.

    python keeper.py <job folder>

Reads `plan.json` (`argv`, `cwd`); writes `std_log.txt`, `keeper.json` (`pid`) and at the end
`exit.json` (`code`; negative: the signal). It holds a lock on `keeper.lock` while it lives: the lock, not a process id that may be used
again, says whether the job runs. A second keeper of the same job ends at once.
SIGTERM ends the command and everything it started. Standard library only.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

GRACE_SECONDS = 5
"""Between asking a command to end and killing it."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""From linux/prctl.h."""


def main(folder: Path) -> int:
    """Run the job in this folder, unless it was run before."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until there is a command that it can end
    with (folder / "keeper.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # another keeper has it
        if (folder / "keeper.json").exists():
            return 0  # another keeper had it
        _write(folder / "keeper.json", {"pid": os.getpid()})
        _write(folder / "exit.json", {"code": _run(folder)})
    return 0


def _run(folder: Path) -> int:
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    _prctl(PR_SET_CHILD_SUBREAPER)  # what the command leaves behind becomes ours, and is ended with it
    with (folder / "std_log.txt").open("ab") as log:
        try:
            command = subprocess.Popen(
                plan["argv"],
                cwd=plan["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=_die_with_keeper,
            )
        except OSError as error:
            log.write(f"the command cannot be started: {error}\n".encode())
            return 127
        _on_terminate(command)
        code = command.wait()
        _end_what_is_left(command.pid)
    return code


def _on_terminate(command: "subprocess.Popen[bytes]") -> None:
    def ask_then_kill(_signal: int, _frame: FrameType | None) -> None:
        _signal_group(command.pid, signal.SIGTERM)
        signal.signal(signal.SIGALRM, lambda _n, _f: _signal_group(command.pid, signal.SIGKILL))
        signal.alarm(GRACE_SECONDS)

    signal.signal(signal.SIGTERM, ask_then_kill)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _end_what_is_left(group: int) -> None:
    _signal_group(group, signal.SIGKILL)
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _children() -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []  # not Linux: the process group is all that can be ended


def _signal_group(group: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says "not permitted" of a group of zombies
        os.killpg(group, what)


def _die_with_keeper() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int = 1) -> None:
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl:
        prctl(option, value)


def _write(path: Path, document: dict[str, int]) -> None:
    aside = path.with_suffix(".tmp")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
