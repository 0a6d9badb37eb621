"""Routes of the resource provider Microsoft.DataFactory."""

from starlette.routing import BaseRoute, Route

from include.standin.data_factory.responses import Responses
from include.standin.home import Home

FACTORY = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.DataFactory/factories/{factory}"


class DataFactory:
    """The service. Tokens are those of the resource manager."""

    def __init__(self, home: Home) -> None:
        self.audience: str | None = home.audience
        answers = Responses(home)
        self.start = answers.start
        self.stop = answers.stop
        self.routes: list[BaseRoute] = [
            Route(FACTORY + "/pipelines/{name}/createRun", answers.create_run, methods=["POST"]),
            Route(FACTORY + "/queryPipelineRuns", answers.query_runs, methods=["POST"]),
            Route(FACTORY + "/pipelineruns/{run_id}", answers.run, methods=["GET"]),
            Route(FACTORY + "/pipelineruns/{run_id}/cancel", answers.cancel, methods=["POST"]),
            Route(FACTORY + "/pipelineruns/{run_id}/queryActivityruns", answers.query_activity_runs, methods=["POST"]),
            Route(FACTORY + "/{kind}", answers.resources, methods=["GET"]),
            Route(FACTORY + "/{kind}/{name}", answers.resource, methods=["PUT", "GET", "DELETE"]),
        ]


def create(home: Home) -> DataFactory:
    """The Data Factory of a home."""
    return DataFactory(home)
