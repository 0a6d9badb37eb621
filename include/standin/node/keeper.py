"""The keeper of one container: outlives the node agent, stamps the log, leaves pid and exit code in files.

    python -I -S keeper.py <base> <program> [argument ...]

`<base>.lock` is held while the keeper lives, `<base>.pid` names it, `<base>.log` gets the output, `<base>.exit` the exit code.
The program gets the keeper's environment and folder. Standard library only: it starts in 20 ms and takes 10 MB.
"""

import contextlib
import ctypes
import fcntl
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LOG_LIMIT = 10_000_000
"""Bytes of a log file; then it becomes `<base>.log.1`, whose predecessor goes."""
LONGEST_LINE = 65_536
"""Bytes; a longer line is split."""
PR_SET_PDEATHSIG = 1


def write(path: Path, text: str) -> None:
    """Write a file as a whole or not at all."""
    part = path.with_name(path.name + "~")
    part.write_text(text)
    part.replace(path)


def hold(path: Path) -> int | None:
    """The lock's file descriptor; None when another keeper has it. Retries: the agent takes the lock for an instant to test it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(20):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            time.sleep(0.01)
    return None


class Log:
    """Lines with RFC 3339 times, in two files of bounded size. A full disk costs lines, never the program."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.size = os.fstat(self.file).st_size
        self.lost = 0
        self.rest = b""

    def feed(self, data: bytes) -> None:
        """Write the whole lines of `data`, keep the rest."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.line(line)
        while len(self.rest) > LONGEST_LINE:
            self.line(self.rest[:LONGEST_LINE])
            self.rest = self.rest[LONGEST_LINE:]

    def close(self) -> None:
        """Write what has no line end yet."""
        if self.rest:
            self.line(self.rest)
        self.rest = b""

    def line(self, line: bytes) -> None:
        """Write one line."""
        now = time.time_ns()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09d}Z "
        note = f"{stamp}({self.lost} lines lost: the disk was full)\n".encode() if self.lost else b""
        try:
            self.append(note + stamp.encode() + line.rstrip(b"\r") + b"\n")
            self.lost = 0
        except OSError:
            self.lost += 1

    def append(self, data: bytes) -> None:
        """Write all of `data` or nothing; OSError."""
        if self.size + len(data) > LOG_LIMIT:
            self.rotate()
        written = os.write(self.file, data)
        if written < len(data):
            os.ftruncate(self.file, self.size)
            raise OSError("short write")
        self.size += written

    def rotate(self) -> None:
        """Begin a new file."""
        os.replace(self.path, self.path.with_name(self.path.name + ".1"))
        os.close(self.file)
        self.file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.size = 0


def dies_with_keeper() -> Callable[[], None] | None:
    """What the child does before it runs the program: ask for SIGKILL when the keeper dies. Linux only."""
    if sys.platform != "linux":
        return None
    libc, keeper = ctypes.CDLL(None), os.getpid()

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:  # it died before the request
            os._exit(137)

    return ask


def copy(child: "subprocess.Popen[bytes]", woken: socket.socket, log: Log) -> None:
    """Copy the output to the log until the program ends; what it started may still hold the pipe and is not waited for."""
    output = child.stdout.fileno()  # type: ignore[union-attr] # it is a pipe
    os.set_blocking(output, False)
    with selectors.DefaultSelector() as selector:
        selector.register(woken, selectors.EVENT_READ)
        selector.register(output, selectors.EVENT_READ)
        while child.poll() is None:
            for key, _ in selector.select():
                if key.fd != output:
                    woken.recv(4096)
                elif not (data := os.read(output, LONGEST_LINE)):
                    selector.unregister(output)
                else:
                    log.feed(data)
    with contextlib.suppress(BlockingIOError):
        while data := os.read(output, LONGEST_LINE):
            log.feed(data)
    log.close()


def keep(argv: list[str], log: Log) -> int:
    """Run the program; its exit code, 128 + n when signal n ended it, 126 or 127 when it cannot start."""
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    child: subprocess.Popen[bytes] | None = None
    asked: list[int] = []

    def forward(number: int, _: object) -> None:
        asked.append(number)
        if child is not None:
            child.send_signal(number)

    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, forward)
    try:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=dies_with_keeper()
        )
    except (OSError, ValueError) as error:
        log.line(f"cannot start {argv[0]}: {error}".encode())
        return 126 if isinstance(error, PermissionError) else 127
    if asked:
        child.send_signal(asked[-1])
    copy(child, woken, log)
    code = child.wait()
    return code if code >= 0 else 128 - code


def main(base: str, *argv: str) -> None:
    """Keep one program, then end with everything that it started."""
    lock = hold(Path(base + ".lock"))
    if lock is None:
        return
    write(Path(base + ".pid"), str(os.getpid()))
    code = keep(list(argv), Log(Path(base + ".log")))
    for _ in range(60):
        try:
            write(Path(base + ".exit"), str(code))
            break
        except OSError:  # full disk; without the file the agent takes the program for killed
            time.sleep(1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
