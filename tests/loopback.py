"""Run a command with the network cut to loopback, where the machine allows that: `python tests/loopback.py pytest ...`.

A Linux user may usually have a network namespace of their own. Elsewhere, and when tests are pointed at a real service,
the command runs as it is.
"""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
INSIDE = "--inside"


def unshare() -> list[str] | None:
    """The command that cuts the network; None where it does not work."""
    program = shutil.which("unshare")
    if program is None or any(name.startswith("EDGELOOP_TEST_") for name in os.environ):
        return None
    command = [program, "-n"] if os.getuid() == 0 else [program, "-rn"]
    works = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    return command if works else None


def bring_up_loopback() -> None:
    """A new namespace has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = struct.unpack("16sh", fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sh", b"lo", 0)))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))


def main(arguments: list[str]) -> None:
    """Become the command."""
    if arguments[:1] == [INSIDE]:
        bring_up_loopback()
        os.execvp(arguments[1], arguments[1:])
    cut = unshare()
    if cut is None:
        print("the network is not cut: this machine has no unshare, or tests are pointed at a real service", file=sys.stderr)
        os.execvp(arguments[0], arguments)
    os.execvp(cut[0], [*cut, sys.executable, os.path.abspath(__file__), INSIDE, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
