"""The storage of a home, run by this process: for tests, and the proxy for the supervisor."""

import asyncio
import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import uvloop

from include.standin.home import Home, port_taken
from include.standin.storage.azurite import Azurite, all_of
from include.standin.storage.proxy import Proxy
from include.standin.storage.set_up import set_up

START_WITHIN = 150.0
"""Seconds; Azurite takes 1 to 2 on a quiet machine."""
STOP_WITHIN = 20.0
"""Seconds for Azurite to write what it holds: what it acknowledged in the last 5 s is only in memory."""


def run(home: Home) -> None:
    """The proxy, until SIGTERM or SIGINT. Blocks."""
    uvloop.run(_serve(home))


async def _serve(home: Home) -> None:
    proxy = Proxy(home)
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    await proxy.start()
    await asked_to_stop.wait()
    await proxy.stop()


@contextlib.contextmanager
def running(home: Home) -> Iterator[None]:
    """Azurites as child processes and the proxy in a thread, with containers and queues made."""
    with contextlib.ExitStack() as stack:
        started = [(azurite, stack.enter_context(_process(azurite))) for azurite in all_of(home)]
        for azurite, process in started:
            _wait_for(azurite, process)
        stack.enter_context(proxy_thread(home))
        set_up(home)
        yield


@contextlib.contextmanager
def azurite_process(azurite: Azurite) -> Iterator[subprocess.Popen[bytes]]:
    """One Azurite that answers."""
    with _process(azurite) as process:
        _wait_for(azurite, process)
        yield process


@contextlib.contextmanager
def _process(azurite: Azurite) -> Iterator[subprocess.Popen[bytes]]:
    """One Azurite; ended by SIGTERM, which makes it write everything."""
    for port in (azurite.blob_port, azurite.queue_port):
        if port_taken(port):
            raise RuntimeError(f"port {port} of {azurite.name} is in use")
    log = azurite.home.folder("logs") / f"{azurite.name}.log"
    with log.open("ab") as out, subprocess.Popen(azurite.command, env=azurite.environment, stdout=out, stderr=out) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(azurite: Azurite, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_WITHIN
    while not (port_taken(azurite.blob_port) and port_taken(azurite.queue_port)):
        if process.poll() is not None:
            raise RuntimeError(f"{azurite.name} ended with code {process.returncode}; see logs/{azurite.name}.log")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{azurite.name} did not listen within {START_WITHIN:.0f} s")
        time.sleep(0.05)


@contextlib.contextmanager
def proxy_thread(home: Home) -> Iterator[Proxy]:
    """The proxy in a thread of its own."""
    proxy = Proxy(home)
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="storage-proxy", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy.start(), loop).result(START_WITHIN)
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result(STOP_WITHIN)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STOP_WITHIN)
        loop.close()
