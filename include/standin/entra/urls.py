"""Routes of Entra ID (`/{tenant}/...`) and of AD FS (`/adfs/...`)."""

from starlette.routing import BaseRoute, Route

from include.standin.entra.models import Directory
from include.standin.entra.responses import Responses
from include.standin.home import Home


class Entra:
    """The service; it checks its callers by their secret, not by a token."""

    audience: str | None = None

    def __init__(self, home: Home) -> None:
        answers = Responses(Directory(home))
        self.routes: list[BaseRoute] = [
            Route("/{tenant}/v2.0/.well-known/openid-configuration", answers.configuration),
            Route("/{tenant}/.well-known/openid-configuration", answers.configuration),
            Route("/{tenant}/oauth2/v2.0/token", answers.token, methods=["POST"]),
            Route("/{tenant}/oauth2/token", answers.token, methods=["POST"]),
        ]

    async def start(self) -> None:
        """Nothing runs in the background."""

    async def stop(self) -> None:
        """Nothing to stop."""


def create(home: Home) -> Entra:
    """The token service of a home."""
    return Entra(home)
