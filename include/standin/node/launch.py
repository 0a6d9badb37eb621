"""From a container of a pod to a command line: image, identity, environment, volumes."""

import os
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from include.standin.home import supervised
from include.standin.node.api import Api, Json
from include.standin.node.data import read
from include.standin.node.environment import Environment, expand
from include.standin.node.events import Events
from include.standin.node.images import Image, Images, interpreter
from include.standin.node.paths import Paths
from include.standin.node.pull import Login, Reference, logins
from include.standin.node.service_account import Identity
from include.standin.node.settings import ConfigError, Settings
from include.standin.node.volumes import Volumes


@dataclass(frozen=True)
class Node:
    """What the pods of a node share."""

    settings: Settings
    api: Api
    images: Images
    events: Events
    probes: aiohttp.ClientSession
    """Asks readiness and liveness; knows nothing of the API's credentials."""


@dataclass(frozen=True)
class Launch:
    """A process to start."""

    argv: tuple[str, ...]
    env: dict[str, str]
    folder: Path
    digest: str
    """Of the image's manifest."""


class Launcher:
    """Prepares the containers of one pod."""

    def __init__(self, node: Node, pod: Json, folder: Path, address: str) -> None:
        self.node, self.pod, self.folder, self.address = node, pod, folder, address
        settings = node.settings
        self.identity = Identity(node.api, pod, folder)
        self.environment = Environment(node.api, pod, address, settings.address)
        self.volumes = Volumes(node.api, pod, folder / "volumes", settings.folder / "claims", address, settings.address)

    async def image(self, container: Json) -> Image:
        """Pull a container's image. ImageError; ConfigError for its secrets."""
        policy = container.get("imagePullPolicy") or ("Always" if Reference.parse(container["image"]).tag == "latest" else "IfNotPresent")
        return await self.node.images.get(container["image"], policy, await self._logins())

    async def _logins(self) -> dict[str, Login]:
        """The logins of imagePullSecrets; a secret that is missing is passed over, as Kubernetes does."""
        found: dict[str, Login] = {}
        for reference in self.pod["spec"].get("imagePullSecrets") or ():
            content = await read(self.node.api, self.pod["metadata"]["namespace"], "secrets", reference["name"], optional=True)
            if ".dockerconfigjson" in content:
                found |= logins(content[".dockerconfigjson"])
        return found

    async def prepare(self, container: Json, image: Image) -> Launch:
        """The process of a container. Nothing of the agent's environment reaches it but PATH. ConfigError."""
        if self.identity.wanted:
            await self.identity.write()
        given = self._given()
        paths = Paths(image.root, await self.volumes.mounts(container))
        env = image.env | given | await self.environment.of(container, given)
        argv = list(container.get("command") or image.entrypoint)
        argv += container.get("args") or (() if container.get("command") else image.command)
        if not argv:
            raise ConfigError("no command specified: neither the image nor the container names a program")
        argv = [paths.argument(expand(argument, env)) for argument in argv]
        # What the agent gives are paths of this machine already; a mount at /tmp must not catch them.
        env = {name: value if given.get(name) == value else paths.value(value) for name, value in env.items()}
        env |= {"EDGELOOP_HOME": given["EDGELOOP_HOME"], **supervised()}
        folder = self._working(container.get("workingDir") or image.folder, paths)
        return Launch((interpreter(argv[0]), *argv[1:]), env, folder, image.digest)

    def _given(self) -> dict[str, str]:
        given = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOST": self.address,
            "HOSTNAME": self.pod["spec"].get("hostname") or self.pod["metadata"]["name"],
            "EDGELOOP_HOME": str(self.node.settings.home),
        }
        return given | ({"KUBECONFIG": str(self.identity.path)} if self.identity.wanted else {})

    def _working(self, said: str, paths: Paths) -> Path:
        """The working directory; one that the image lacks is the pod's own, since images are shared."""
        if not said.strip("/"):
            return paths.root
        folder = Path(paths.one(said))
        if folder != Path(said) and folder.is_dir():
            return folder
        own = self.folder / "work"
        own.mkdir(parents=True, exist_ok=True)
        return own
