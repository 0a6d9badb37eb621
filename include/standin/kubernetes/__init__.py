"""A Kubernetes API server with its controllers: one process and one store a site.

Pods run where a node agent registers (`include.standin.node`).
"""

import asyncio
import contextlib
from typing import Any

from starlette.routing import BaseRoute

from include.standin import serving
from include.standin.home import Home
from include.standin.kubernetes import controllers, kubeconfig, urls
from include.standin.kubernetes.cluster import Cluster
from include.standin.kubernetes.exceptions import ApiError


class Kubernetes:
    """One site's API server as a stand-in service; it checks its callers itself."""

    audience: str | None = None

    def __init__(self, home: Home, site: str) -> None:
        self.cluster = Cluster.open(home, site)
        self.routes: list[BaseRoute] = urls.routes(self.cluster)
        self.exception_handlers: dict[Any, Any] = {ApiError: urls.refuse, Exception: urls.fail}
        self._controllers: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the controllers."""
        self._controllers = asyncio.create_task(controllers.run(self.cluster))

    async def stop(self) -> None:
        """Stop the controllers and close the store."""
        if self._controllers:
            self._controllers.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._controllers
        self.cluster.store.close()


def create(home: Home, site: str) -> Kubernetes:
    """The API server of a site, its state as it was left."""
    return Kubernetes(home, site)


def run(home: Home, site: str) -> None:
    """Write the administrator's kubeconfig and serve until SIGTERM. Blocks."""
    kubeconfig.write(home, site)
    serving.run(serving.create_app(home, create(home, site)), home, home.port(f"kubernetes-{site}"))
