"""The node agent of a site: pods as processes. It shares nothing with the API server but the Kubernetes API."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from pathlib import Path

from include.standin.home import Home
from include.standin.node.agent import Agent
from include.standin.node.api import Access
from include.standin.node.settings import Settings


def settings(home: Home, site: str) -> Settings:
    """Where the node of a site lies, and its addresses (docs/contracts.md)."""
    return Settings(
        node=f"edgeloop-{site}",
        home=home.path,
        folder=home.folder(f"node-{site}"),
        images=home.folder("images"),
        pod_network=f"127.{30 + home.site_number(site)}",
        port=home.port(f"node-{site}"),
        ca=home.ca,
        certificate=home.cert,
        key=home.key,
        address=home.place.address,
        bind=home.place.bind,
        host=home.host(f"node-{site}"),
    )


def run(home: Home, site: str) -> None:
    """Be the node of a site until SIGTERM. Its pods live on, and the next agent adopts them. Blocks."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    serve(settings(home, site), home.folder("kube") / f"{site}.kubeconfig")


def serve(place: Settings, kubeconfig: Path) -> None:
    """Be a node of the API server that a kubeconfig names, until SIGTERM; waits for the file. Blocks."""
    os.environ["EDGELOOP_HOME"] = str(place.home)
    while not kubeconfig.exists():
        time.sleep(0.2)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_until_stopped(Agent(place, Access.read(kubeconfig))))


async def _until_stopped(agent: Agent) -> None:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        if task is not None:
            loop.add_signal_handler(number, task.cancel)
    await agent.run()
