"""Where the answers are found."""

import json
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from include.standin.entra.models import Directory
from include.standin.home import Home
from include.standin.machine_learning.exceptions import BadRequest, MachineLearningError
from include.standin.machine_learning.models import Document
from include.standin.machine_learning.responses.assets import AssetResponses
from include.standin.machine_learning.responses.call import Call, Reply
from include.standin.machine_learning.responses.jobs import JobResponses
from include.standin.machine_learning.responses.workspace import WorkspaceResponses
from include.standin.serving import Guarded

WORKSPACE = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
HISTORY = f"/history/v1.0{WORKSPACE}"
KINDS = ("codes", "environments", "models")
LARGEST_BODY = 1024 * 1024
"""Bytes of a request; a job is a few thousand."""


async def _body(request: Request) -> Document:
    raw = await request.body()
    if len(raw) > LARGEST_BODY:
        raise BadRequest(f"the body has more than {LARGEST_BODY} bytes")
    try:
        found = json.loads(raw) if raw else {}
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadRequest("the body is not a JSON object")
    return found


def _route(path: str, method: str, answer: Callable[[Call], Reply], **fixed: str) -> BaseRoute:
    """A route whose answer is computed in a thread: it may ask the storage."""

    async def endpoint(request: Request) -> Response:
        try:
            call = Call(request.url.path.rstrip("/"), {**request.path_params, **fixed}, request.query_params, await _body(request))
            reply = await run_in_threadpool(answer, call)
        except MachineLearningError as error:
            return JSONResponse(error.document(), error.status)
        return JSONResponse(reply.body, reply.status) if reply.body is not None else Response(status_code=reply.status)

    return Route(path, endpoint, methods=[method])


def _assets(answers: AssetResponses) -> list[BaseRoute]:
    found: list[BaseRoute] = []
    for kind in KINDS:
        names, version = f"{WORKSPACE}/{kind}", f"{WORKSPACE}/{kind}/{{name}}/versions/{{version}}"
        found += [
            _route(names, "GET", answers.assets, kind=kind),
            _route(f"{names}/{{name}}", "GET", answers.asset, kind=kind),
            _route(f"{names}/{{name}}/versions", "GET", answers.asset_versions, kind=kind),
            _route(f"{version}/startPendingUpload", "POST", answers.pending_upload),
            _route(version, "PUT", answers.put_asset, kind=kind),
            _route(version, "GET", answers.get_asset, kind=kind),
        ]
    return found


def _history(answers: JobResponses) -> list[BaseRoute]:
    found = [_route(f"{HISTORY}/rundata", "POST", answers.run_data)]
    for of in ("", "/experiments/{experiment}", "/experimentids/{experiment}"):
        found += [
            _route(f"{HISTORY}{of}/runs/{{name}}/details", "GET", answers.run_details),
            _route(f"{HISTORY}{of}/runs/{{name}}", "GET", answers.run),
        ]
    return found


def routes(home: Home, workspace: WorkspaceResponses, assets: AssetResponses, jobs: JobResponses) -> list[BaseRoute]:
    """Every route; all but the discovery ask for a token of the resource manager."""
    guarded = [
        _route(WORKSPACE, "GET", workspace.workspace),
        *_assets(assets),
        _route(f"{WORKSPACE}/datastores", "GET", workspace.datastores),
        _route(f"{WORKSPACE}/datastores/{{name}}", "GET", workspace.datastore),
        _route(f"{WORKSPACE}/datastores/{{name}}/listSecrets", "POST", workspace.datastore_secrets),
        _route(f"{WORKSPACE}/jobs", "GET", jobs.jobs),
        _route(f"{WORKSPACE}/jobs/{{name}}", "PUT", jobs.put_job),
        _route(f"{WORKSPACE}/jobs/{{name}}", "GET", jobs.get_job),
        _route(f"{WORKSPACE}/jobs/{{name}}/cancel", "POST", jobs.cancel_job),
        *_history(jobs),
    ]
    directory = Directory(home)
    return [
        *(Guarded(route, directory, home.audience) for route in guarded),
        _route("/discovery", "GET", workspace.discovery),
        _route("/discovery/{rest:path}", "GET", workspace.discovery),
    ]
