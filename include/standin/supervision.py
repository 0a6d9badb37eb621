"""supervisord over the programs of an embedded cloud: start, look, stop, and leave nothing behind."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from include.standin import processes
from include.standin.configuration import ROOT, ConfigurationError, write
from include.standin.home import SUPERVISED, Home, port_taken
from include.standin.programs import Program
from include.standin.serving import client_context

HEALTHY_WITHIN = 300.0
"""Seconds from the start to all programs being well; a busy small machine takes 20."""
POLL = 0.2
RUNNING = "RUNNING"


class SupervisionError(Exception):
    """Programs could not be started or stopped; the message says which, why and what to do."""


@dataclass(frozen=True)
class State:
    """What is known of a program."""

    name: str
    state: str
    """supervisord's word: RUNNING, STARTING, BACKOFF, FATAL, STOPPED, ...; ABSENT: it is not supervised."""
    pid: int | None
    well: bool


@dataclass(frozen=True)
class Supervisor:
    """The supervisor of one home and the programs that it is told of."""

    home: Home
    programs: Sequence[Program]
    name: str = "standin"
    """A home can have several: the stand-in's and Airflow's."""

    @property
    def folder(self) -> Path:
        """Its configuration, log and socket."""
        return self.home.folder("supervisor")

    @property
    def socket(self) -> Path:
        """The socket that it is asked through. A path in the home can be too long for one, so it is named in a file."""
        return socket_path(self.home, self.name)

    def _ask(self) -> Any:
        server: Any = ServerProxy("http://127.0.0.1", transport=SupervisorTransport(None, None, f"unix://{self.socket}"))
        return server.supervisor

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self._ask().getState()["statename"] in ("RUNNING", "RESTARTING"))
        except (OSError, Fault):
            return False

    def up(self, within: float = HEALTHY_WITHIN) -> bool:
        """Start everything and wait until all is well. False when it was up and well already; SupervisionError otherwise."""
        if self.is_up():
            started = self._start_missing()
        else:
            self._end_orphans()
            self._check_ports()
            self._start()
            started = True
        self._wait_until_well(within)
        return started

    def _start(self) -> None:
        try:
            config = write(self.home, self.name, self.programs, self.socket)
        except ConfigurationError as error:
            raise SupervisionError(str(error)) from error
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
        # It becomes a daemon in its own session: a terminal that closes does not take the cloud along.
        done = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise SupervisionError(
                f"supervisord did not start: {(done.stderr or done.stdout).strip()[-500:]}; its configuration is {config}"
            )

    def become(self) -> None:
        """Be the supervisor in the foreground, as a container's program; its programs print where this process does. Does not return."""
        config = write(self.home, self.name, self.programs, self.socket, console=True)
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(config)], self._environment)  # noqa: S606

    @property
    def _environment(self) -> dict[str, str]:
        """What its programs inherit."""
        path = str(self.home.path)
        return {**os.environ, "EDGELOOP_HOME": path, SUPERVISED: path, "PYTHONUNBUFFERED": "1", "ORT_DISABLE_TELEMETRY": "1"}

    def _start_missing(self) -> bool:
        """Start what is not supervised yet, and what is stopped or given up; says whether there was any."""
        known = {state.name for state in self._supervised()}
        missing = [program.name for program in self.programs if program.name not in known]
        if missing:
            write(self.home, self.name, self.programs, self.socket)
            self._ask().reloadConfig()
        for name in missing:
            self._ask().addProcessGroup(name)
        stopped = [state.name for state in self._supervised() if state.state in ("STOPPED", "EXITED", "FATAL")]
        for name in stopped:
            self._ask().startProcess(name, False)
        return bool(stopped or missing)

    def _end_orphans(self) -> None:
        """End the programs of a supervisor that was killed. Pods and jobs go on: they live in sessions of their own."""
        try:
            session = int((self.folder / f"{self.name}.pid").read_text())
        except (OSError, ValueError):
            return
        processes.end(process for process in processes.of_home(self.home) if processes.session(process) == session)

    def _check_ports(self) -> None:
        for program in self.programs:
            for port in program.ports:
                if port_taken(port, program.address):
                    raise SupervisionError(
                        f"port {port}, which {program.name} needs, is in use by {_listener(port)}: end it, "
                        f"or run `make down`, remove {self.home.path} and set EDGELOOP_PORT_BASE to a free range "
                        f"(now {self.home.identity.port_base})"
                    )

    def _supervised(self) -> list[State]:
        known = self._ask().getAllProcessInfo()
        return [State(said["name"], said["statename"], said["pid"] or None, False) for said in known]

    def status(self) -> list[State]:
        """Every program, also those that are not there."""
        known = {state.name: state for state in self._supervised()} if self.is_up() else {}
        found = []
        for program in self.programs:
            state = known.get(program.name, State(program.name, "ABSENT", None, False))
            found.append(State(state.name, state.state, state.pid, state.state in (RUNNING, "STARTING") and is_well(self.home, program)))
        return found

    def _wait_until_well(self, within: float) -> None:
        deadline = time.monotonic() + within
        while True:
            states = self.status()
            if all(state.well for state in states):
                return
            given_up = [state for state in states if state.state == "FATAL"]
            if given_up or time.monotonic() > deadline:
                raise SupervisionError(self._complaint(given_up or [state for state in states if not state.well]))
            time.sleep(POLL)

    def _complaint(self, states: Iterable[State]) -> str:
        lines = []
        for state in states:
            log = self.home.path / "logs" / f"{state.name}.log"
            lines.append(f"{state.name} is {state.state} and not well; the end of {log}:\n{_tail(log)}")
        return "\n".join(lines)

    def restart(self, name: str) -> None:
        """Stop and start one program."""
        self._ask().stopProcess(name, True)
        self._ask().startProcess(name, True)

    def stop(self, within: float = 60.0) -> None:
        """Stop the programs, then the supervisor; returns when it is gone. Nothing happens when it is not up."""
        if not self.is_up():
            return
        pid = int(self._ask().getPID())
        self._ask().stopAllProcesses(False)  # all at once: shutdown alone ends one after the other
        self._ask().shutdown()
        try:
            psutil.Process(pid).wait(within)
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired as error:
            raise SupervisionError(f"supervisord (process {pid}) did not end within {within:.0f} s") from error


def socket_path(home: Home, name: str) -> Path:
    """Where a supervisor's socket lies: in the home, or, when that path is too long for a socket, in the temporary folder."""
    wanted = home.folder("supervisor") / f"{name}.sock"
    # 108 bytes on Linux, 104 on macOS; supervisord adds its process id while it binds
    if len(os.fsencode(wanted)) <= 90:
        return wanted
    short = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp") / f"edgeloop-{home.identity.tenant_id}"  # noqa: S108 - a folder of mode 700
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid():
        raise SupervisionError(f"{short} belongs to someone else: set XDG_RUNTIME_DIR to a folder of your own")
    return short / f"{name}.sock"


def is_well(home: Home, program: Program) -> bool:
    """Whether the program answers its health URL, or listens where it has none."""
    if program.health is None:
        return all(port_taken(port, program.address) for port in program.ports)
    try:
        context = client_context(home) if program.health.startswith("https:") else None
        with urllib.request.urlopen(program.health, timeout=3, context=context) as answer:  # noqa: S310 - our own URL
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _listener(port: int) -> str:
    """Who listens, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port and connection.pid:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return "another program"
    return "another program"


def _tail(log: Path, size: int = 2000) -> str:
    try:
        return log.read_bytes()[-size:].decode("utf-8", "replace")
    except OSError:
        return "(there is no log)"


def describe(states: Iterable[State]) -> str:
    """The states as lines of JSON, for programs and people."""
    return "\n".join(json.dumps({"program": s.name, "state": s.state, "pid": s.pid, "well": s.well}) for s in states)
