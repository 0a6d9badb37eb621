"""Azure Machine Learning: the part of its REST API that `azure.ai.ml.MLClient` needs to train and register a model. Jobs really run."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from include.standin.home import Home
    from include.standin.machine_learning.runner import Runner
    from include.standin.serving import Service


class MachineLearning:
    """The service. Its audience is None because one route, the discovery, is asked without a token; the others check it themselves."""

    audience: str | None = None

    def __init__(self, routes: "list[BaseRoute]", runner: "Runner") -> None:
        self.routes = routes
        self._runner = runner

    async def start(self) -> None:
        """Take up the jobs that are not over."""
        await asyncio.to_thread(self._runner.start)

    async def stop(self) -> None:
        """Stop looking after jobs; their commands run on, and the next start finds them."""
        await asyncio.to_thread(self._runner.stop)


def create(home: "Home") -> "Service":
    """The service, with its state in the home's folder `machine_learning`."""
    from include.standin.machine_learning.datastore import Datastore
    from include.standin.machine_learning.job import Jobs
    from include.standin.machine_learning.models import Assets
    from include.standin.machine_learning.plan import Planner
    from include.standin.machine_learning.responses.assets import AssetResponses
    from include.standin.machine_learning.responses.jobs import JobResponses
    from include.standin.machine_learning.responses.workspace import WorkspaceResponses
    from include.standin.machine_learning.runner import Runner
    from include.standin.machine_learning.urls import routes

    folder, base = home.folder("machine_learning"), home.url("cloud")
    assets, jobs, datastore = Assets(folder / "assets"), Jobs(folder / "jobs"), Datastore(home)
    runner = Runner(jobs, Planner(home, assets, datastore), datastore)
    workspace, versions = WorkspaceResponses(base, datastore), AssetResponses(assets, jobs, datastore)
    return MachineLearning(routes(home, workspace, versions, JobResponses(base, assets, jobs, runner, datastore)), runner)
