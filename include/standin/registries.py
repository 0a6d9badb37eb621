"""The two registries in one program: candidates and releases, each on a port of its own."""

import asyncio

from include.standin.container_registry import Name, create
from include.standin.home import Home
from include.standin.serving import create_app, serve_all

NAMES: tuple[Name, ...] = ("candidates", "releases")


def run(home: Home) -> None:
    """Serve both until SIGTERM. Blocks."""
    asyncio.run(serve_all(home, {home.port(name): create_app(home, create(home, name)) for name in NAMES}))
