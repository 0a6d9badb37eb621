"""Hears where a Python process and its Python children want to go: on PYTHONPATH, with SILENCE_HEARD naming the file of what is heard.

An audit hook is told of an attempt before it is made: it hears also what no network would let through.
"""

import os
import socket
import sys

HEARD = os.environ.get("SILENCE_HEARD")


def _write(line: str) -> None:
    out = os.open(str(HEARD), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(out, f"{line}\n".encode())
    os.close(out)


def _hear(event: str, arguments: tuple) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if arguments[0].family in (socket.AF_INET, socket.AF_INET6) and address:
            _write(f"{address[0]} {address[1]}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        name = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
        if name:
            _write(f"{name} name")


if HEARD:
    sys.addaudithook(_hear)
