"""Runs a command and tells every address and name outside this machine that it asked for, whether or not it got through."""

import ipaddress
import os
import re
import shutil
import socket
import subprocess
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
INTERNET = re.compile(r'sin6?_port=htons\((\d+)\).*?inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"')
"""An address as strace prints it."""
TRACED = "trace=connect,sendto,sendmsg,sendmmsg"
"""Local sockets and the kernel's own are traced too, and have no such address."""
DNS = 53
WITHIN = 150


@cache
def strace() -> list[str] | None:
    """The command that hears a process of any language; None where the machine has none or does not let it."""
    program = shutil.which("strace")
    if program is None:
        return None
    # With --seccomp-bpf only the calls that are asked for cost time; older versions do not have it.
    for more in (["--seccomp-bpf"], []):
        command = [program, "-f", *more, "-qq", "-s", "0", "-e", TRACED, "-e", "signal=none"]
        if subprocess.run([*command, "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return None


def listen(command: list[str], environment: dict[str, str], folder: Path, *, traced: bool) -> tuple[set[str], str]:
    """What the command and its children asked for outside this machine, `<address> <port>` or `<name> name`; and what it printed.

    `traced`: by strace as well, which hears every language; else Python only. AssertionError when the command fails.
    """
    told, calls = folder / "told", folder / "calls"
    told.touch()
    path = os.pathsep.join((str(HERE), environment.get("PYTHONPATH", "")))
    around = [*(strace() or ()), "-o", str(calls)] if traced else []
    heard_in = {**environment, "PYTHONPATH": path, "SILENCE_HEARD": str(told)}
    done = subprocess.run([*around, *command], env=heard_in, capture_output=True, text=True, timeout=WITHIN, cwd=folder)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    heard = {tuple(line.rsplit(" ", 1)) for line in told.read_text().splitlines()}
    if traced:
        # What a name server is asked, the hook of Python hears by name; the machine's own name may be such a question.
        heard |= {(address, port) for port, address in INTERNET.findall(calls.read_text()) if int(port) != DNS or not _asks_for_itself()}
    return {f"{where} {what}" for where, what in heard if outside(where) or what == str(DNS)}, done.stdout


def outside(where: str) -> bool:
    """Whether an address or a name is another machine's."""
    try:
        address = ipaddress.ip_address(where.partition("%")[0])
    except ValueError:
        return where.lower().rstrip(".") not in {"localhost", *_own_names()}
    mapped = getattr(address, "ipv4_mapped", None) or address
    return not (mapped.is_loopback or mapped.is_unspecified)


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0], socket.getfqdn().lower()}


def _asks_for_itself() -> bool:
    """Whether this machine asks a name server for its own name: then a question to one says nothing."""
    try:
        hosts = Path("/etc/hosts").read_text().lower()
    except OSError:
        return True
    return socket.gethostname().lower() not in hosts.split()
