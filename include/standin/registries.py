"""The two registries in one program: candidates and releases, each on a port of its own."""

import asyncio
from typing import Any

from include import settings
from include.oci.client import Registry
from include.standin.container_registry import Name, base_images, create
from include.standin.home import Home
from include.standin.serving import create_app, serve_all

NAMES: tuple[Name, ...] = ("candidates", "releases")
STARTS_WITH = ((settings.CANDIDATES, "scoring_base", base_images.SCORING), (settings.RELEASES, "rollout_image", base_images.ROLLOUT))
"""Connection of a registry, the field that names its base image, and what that is in an embedded cloud."""


def run(home: Home) -> None:
    """Serve both until SIGTERM. Blocks."""
    asyncio.run(serve_all(home, {home.port(name): create_app(home, create(home, name)) for name in NAMES}))


def fill(connections: dict[str, dict[str, Any]]) -> None:
    """Bring the embedded base images to registries of other makes. A Connection that names an image of its own is left alone."""
    for name, field, image in STARTS_WITH:
        said = connections[name]
        if said["extra"][field] == base_images.name(image):
            with Registry(said["host"], said["login"], said["password"], said["extra"].get("ca_bundle")) as registry:
                base_images.bring(registry, image)
