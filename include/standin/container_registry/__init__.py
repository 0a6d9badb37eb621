"""A stand-in container registry: OCI distribution 1.1 on disk, with immutable tags. Two of them: candidates and releases."""

from typing import Any, Literal

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from include.standin.container_registry import base_images, uploads
from include.standin.container_registry.exceptions import RegistryError
from include.standin.container_registry.models import Store
from include.standin.container_registry.responses import Answers
from include.standin.container_registry.tokens import Door
from include.standin.container_registry.urls import routes
from include.standin.home import Home

Name = Literal["candidates", "releases"]
BASES = {"candidates": base_images.SCORING, "releases": base_images.ROLLOUT}
"""The base image that each registry starts with."""


class ContainerRegistry:
    """One registry as a service. It checks logins itself, as registries do."""

    audience: str | None = None

    def __init__(self, home: Home, name: Name) -> None:
        self.home = home
        self.name = name
        self.store = Store(home.folder("container_registry") / name)
        door = Door(name, home.identity.registry_user, home.identity.registry_password)
        self.routes: list[BaseRoute] = routes(Answers(self.store, door))
        self.exception_handlers: dict[Any, Any] = {RegistryError: _refused, OSError: _broken, ClientDisconnect: _left}

    async def start(self) -> None:
        """Put the base image there, and leave its name where connections are written from."""
        self.store.root.mkdir(parents=True, exist_ok=True)
        uploads.tidy(self.store)
        base_images.push(self.store, BASES[self.name], self.home.folder("container_registry"))

    async def stop(self) -> None:
        """Nothing runs in the background."""


def create(home: Home, name: Name) -> ContainerRegistry:
    """The registry of that name; its state lies in the home's folder `container_registry/<name>`."""
    return ContainerRegistry(home, name)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RegistryError)  # noqa: S101 registered for it
    return error.response()


async def _left(_: Request, __: Exception) -> Response:
    """The client was cut off: nobody reads this. What it sent of an upload stays."""
    return Response(status_code=499)


async def _broken(_: Request, error: Exception) -> Response:
    """The disk is full or broken: nothing half-written is left, the client may come again."""
    return RegistryError(f"the registry's disk: {error}").response()
