"""Answers of Data Factory's management API, version 2018-06-01, and the threads that execute runs."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from include.standin.data_factory import exceptions
from include.standin.data_factory.activities import Engine
from include.standin.data_factory.blobs import Blobs
from include.standin.data_factory.definitions import KINDS, Definitions
from include.standin.data_factory.models import Run, Runs
from include.standin.home import Home
from include.standin.serving import client_context

LOG = logging.getLogger(__name__)
RUNS_AT_ONCE = 16
PAGE = 100
"""Entries of one answer to a query; the next page has a continuation token."""
Handler = Callable[["Responses", Request], Awaitable[Response]]


def _says_why(handler: Handler) -> Handler:
    @wraps(handler)
    async def wrapped(self: "Responses", request: Request) -> Response:
        try:
            return await handler(self, request)
        except exceptions.Refusal as error:
            return JSONResponse(error.body(), error.status)

    return wrapped


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    try:
        said = await request.json() if raw else {}
    except ValueError as error:
        raise exceptions.bad_request(f"The request body is not JSON: {error}") from error
    if not isinstance(said, dict):
        raise exceptions.bad_request("The request body is not an object.")
    return said


class Responses:
    """What each route answers."""

    def __init__(self, home: Home) -> None:
        self.home = home
        folder = home.folder("data_factory")
        self.definitions = Definitions(folder / "definitions")
        self.runs = Runs(folder / "runs")
        self.pool: ThreadPoolExecutor | None = None
        self.stopping = threading.Event()

    async def start(self) -> None:
        """Take up the runs that a stop or a kill left unfinished: from their beginning, for a copy replaces what it wrote before."""
        self.stopping.clear()
        self.pool = ThreadPoolExecutor(RUNS_AT_ONCE, "pipeline-run")
        for run in self.runs.unfinished():
            self.pool.submit(self._execute, run)

    async def stop(self) -> None:
        """Interrupt what runs; it stays unfinished on disk."""
        self.stopping.set()
        self.runs.interrupt()
        if self.pool:
            await asyncio.to_thread(self.pool.shutdown, True, cancel_futures=True)

    def _execute(self, run: Run) -> None:
        try:
            asyncio.run(self._to_end(run))
        except Exception as error:
            LOG.exception("run %s of pipeline %s broke", run.run_id, run.pipeline)
            self.runs.end(run, "Failed", f"ErrorCode=InternalServerError,Message=The embedded Data Factory broke: {error!r}")

    async def _to_end(self, run: Run) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine is run by a task
        try:
            self.runs.begin(run, task)
            async with Blobs(client_context(self.home), self.home.account_key) as blobs:
                await Engine(run, self.definitions, blobs).execute()
        except exceptions.ActivityError as error:
            self.runs.end(run, "Failed", str(error))
        except asyncio.CancelledError:
            if run.status == "Canceling" or not self.stopping.is_set():
                self.runs.end(run, "Cancelled", "The pipeline run was cancelled by the caller.")
        else:
            self.runs.end(run, "Succeeded")

    def _resource(self, request: Request, found: Mapping[str, Any]) -> dict[str, Any]:
        kind, factory = _kind(request), request.path_params["factory"]
        root = request.url.path.split("/factories/")[0]
        kind = "linkedServices" if kind == "linkedservices" else kind
        path = f"{root}/factories/{factory}/{kind}/{found['name']}"
        return {"id": path, "type": f"Microsoft.DataFactory/factories/{kind}", **found}

    @_says_why
    async def resource(self, request: Request) -> Response:
        """PUT, GET, DELETE of a linked service, dataset or pipeline."""
        factory, kind, name = request.path_params["factory"], _kind(request), request.path_params["name"]
        if request.method == "DELETE":
            return Response(status_code=200 if self.definitions.delete(factory, kind, name) else 204)
        if request.method == "PUT":
            properties = (await _body(request)).get("properties")
            if not isinstance(properties, dict) or (kind != "pipelines" and "type" not in properties):
                raise exceptions.bad_request(f"The definition of {kind[:-1]} '{name}' has no 'properties', or they have no 'type'.")
            return JSONResponse(self._resource(request, self.definitions.put(factory, kind, name, properties)))
        return JSONResponse(self._resource(request, self.definitions.get(factory, kind, name)))

    @_says_why
    async def resources(self, request: Request) -> Response:
        """Every resource of a kind."""
        found = self.definitions.all_of(request.path_params["factory"], _kind(request))
        return JSONResponse({"value": [self._resource(request, one) for one in found]})

    @_says_why
    async def create_run(self, request: Request) -> Response:
        """Start a run; its parameters are the body."""
        factory, name = request.path_params["factory"], request.path_params["name"]
        declared = self.definitions.get(factory, "pipelines", name)["properties"].get("parameters") or {}
        given = await _body(request)
        defaults = {key: said["defaultValue"] for key, said in declared.items() if "defaultValue" in said}
        lacking = [key for key in declared if key not in given and key not in defaults]
        if lacking:
            raise exceptions.missing_parameters(name, lacking)
        run = Run(factory, name, {**defaults, **{key: value for key, value in given.items() if key in declared}})
        self.runs.add(run)
        if self.pool:
            self.pool.submit(self._execute, run)
        return JSONResponse({"runId": run.run_id})

    @_says_why
    async def run(self, request: Request) -> Response:
        """One run."""
        return JSONResponse(self._run(request).as_json())

    @_says_why
    async def cancel(self, request: Request) -> Response:
        """Stop a run; one that is over stays as it is."""
        self.runs.cancel(self._run(request))
        return Response(status_code=200)

    @_says_why
    async def query_runs(self, request: Request) -> Response:
        """Runs by time of their last change, and by filters on PipelineName, Status and RunStart."""
        said = await _body(request)
        after, before = _time(said, "lastUpdatedAfter"), _time(said, "lastUpdatedBefore")
        filters = said.get("filters") or []
        for one in filters:
            if one.get("operand") not in OPERANDS or one.get("operator") not in OPERATORS:
                raise exceptions.bad_request(f"The filter {one} is not supported: {', '.join(OPERANDS)}; {', '.join(OPERATORS)}.")
        found = [
            run.as_json()
            for run in self.runs.of(request.path_params["factory"])
            if after <= datetime.fromisoformat(run.updated) <= before and all(_passes(run, one) for one in filters)
        ]
        return _page(found, said)

    @_says_why
    async def query_activity_runs(self, request: Request) -> Response:
        """The activities of one run by the time that they began."""
        said = await _body(request)
        after, before = _time(said, "lastUpdatedAfter"), _time(said, "lastUpdatedBefore")
        activities = [*self._run(request).activities]
        return _page([one.as_json() for one in activities if after <= datetime.fromisoformat(one.end or one.start) <= before], said)

    def _run(self, request: Request) -> Run:
        return self.runs.get(request.path_params["factory"], request.path_params["run_id"])


OPERANDS: dict[str, Callable[[Run], str]] = {
    "PipelineName": lambda run: run.pipeline,
    "Status": lambda run: run.status,
    "RunStart": lambda run: run.start,
}
OPERATORS = ("Equals", "NotEquals", "In", "NotIn")


def _passes(run: Run, said: Mapping[str, Any]) -> bool:
    among = OPERANDS[said["operand"]](run) in (said.get("values") or [])
    return among is (said["operator"] in ("Equals", "In"))


def _kind(request: Request) -> str:
    kind = str(request.path_params["kind"]).lower()
    if kind not in KINDS:
        raise exceptions.Refusal(404, "InvalidResourceType", f"The resource type '{kind[:80]}' is not supported: {', '.join(KINDS)}.")
    return kind


def _time(said: Mapping[str, Any], name: str) -> datetime:
    try:
        return datetime.fromisoformat(said[name])
    except (KeyError, TypeError, ValueError) as error:
        raise exceptions.bad_request(f"'{name}' is required, in ISO 8601.") from error


def _page(found: list[dict[str, Any]], said: Mapping[str, Any]) -> Response:
    token = str(said.get("continuationToken") or "0")
    if not token.isdigit():
        raise exceptions.bad_request("The continuation token is invalid.")
    end = int(token) + PAGE
    more = {"continuationToken": str(end)} if end < len(found) else {}
    return JSONResponse({"value": found[int(token) : end], **more})
