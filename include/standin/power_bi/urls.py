"""Routes of Power BI."""

from typing import Any

from starlette.routing import BaseRoute, Route

from include.standin.home import Home
from include.standin.power_bi import exceptions
from include.standin.power_bi.responses import Responses

AUDIENCE = "https://analysis.windows.net/powerbi/api"
DATASET = "/v1.0/myorg/groups/{group}/datasets/{dataset}"


class PowerBI:
    """The service."""

    audience: str | None = AUDIENCE

    def __init__(self, home: Home) -> None:
        answers = Responses(home)
        self.exception_handlers: dict[Any, Any] = {exceptions.PowerBIError: exceptions.answer}
        self.routes: list[BaseRoute] = [
            Route(f"{DATASET}/refreshes", answers.refreshes, methods=["GET", "POST"]),
            Route(f"{DATASET}/refreshes/{{refresh}}", answers.refresh, methods=["GET", "DELETE"]),
        ]

    async def start(self) -> None:
        """Nothing runs in the background: a refresh is over when its time is."""

    async def stop(self) -> None:
        """Nothing to stop."""


def create(home: Home) -> PowerBI:
    """Power BI of a home."""
    return PowerBI(home)
