"""Routes of the API server."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from include.standin.kubernetes.authorization import Action
from include.standin.kubernetes.cluster import Cluster
from include.standin.kubernetes.exceptions import ApiError, InternalError, MethodNotAllowed
from include.standin.kubernetes.responses import discovery, objects, reviews, subresources
from include.standin.kubernetes.responses.calls import Call
from include.standin.kubernetes.tokens import User, service_account

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
Endpoint = Callable[[Request], Awaitable[Response]]
OPEN: tuple[tuple[str, Endpoint], ...] = (
    ("/version", discovery.version),
    ("/livez", discovery.healthy),
    ("/readyz", discovery.healthy),
    ("/healthz", discovery.healthy),
)
"""Answered without a token (the real server's role system:public-info-viewer)."""
PATHS: tuple[tuple[str, Endpoint], ...] = (
    ("/api", discovery.core_versions),
    ("/apis", discovery.groups),
    ("/openapi/v3", discovery.documents),
    ("/openapi/v3/{path:path}", discovery.document),
    ("/api/{version}", discovery.resources),
    ("/apis/{group}", discovery.group),
    ("/apis/{group}/{version}", discovery.resources),
)
RESOURCES = (
    "/namespaces/{namespace}/{plural}/{name}/{subresource}",
    "/namespaces/{namespace}/{plural}/{name}",
    "/namespaces/{namespace}/{plural}",
    "/{plural}/{name}/{subresource}",
    "/{plural}/{name}",
    "/{plural}",
)
NAMED = {"GET": objects.read, "PUT": objects.replace, "PATCH": objects.patch, "DELETE": objects.delete}
MANY = {"GET": objects.collection, "POST": objects.create, "DELETE": objects.delete}


def routes(cluster: Cluster) -> list[BaseRoute]:
    """All routes; each checks who asks."""

    def path(endpoint: Endpoint) -> Endpoint:
        async def handle(request: Request) -> Response:
            user = caller(cluster, request)
            cluster.authorizer.require_path(user, "get", request.url.path)
            return await endpoint(request)

        return handle

    async def resource(request: Request) -> Response:
        return await respond(cluster, request)

    found: list[BaseRoute] = [Route(url, endpoint) for url, endpoint in OPEN]
    found += [Route(url, path(endpoint)) for url, endpoint in PATHS]
    for url in RESOURCES:
        for base in ("/api/{version}", "/apis/{group}/{version}"):
            found.append(Route(base + url, resource, methods=METHODS))
    return found


def caller(cluster: Cluster, request: Request) -> User:
    """Who asks: by the token, or whom it stands in for (`kubectl --as`), which takes the permission to impersonate."""
    user = cluster.tokens.user(request.headers.get("authorization"), cluster.store)
    name = request.headers.get("impersonate-user")
    if not name:
        return user
    action = Action("impersonate", resource="users", name=name)
    if not cluster.authorizer.allowed(user, action):
        raise ApiError(403, "Forbidden", f'users "{name}" is forbidden: {action.refusal(user)}')
    parts = name.split(":")
    if name.startswith("system:serviceaccount:") and len(parts) == 4:
        return service_account(parts[2], parts[3])
    return User(name, (*request.headers.getlist("impersonate-group"), "system:authenticated"))


async def respond(cluster: Cluster, request: Request) -> Response:
    """The answer to a request for a resource."""
    call = Call.read(request, caller(cluster, request))
    objects.authorize(cluster.authorizer, call)
    if not call.kind.stored:
        return await reviews.respond(cluster, call)
    if call.subresource and call.subresource != "status":
        return await subresources.respond(cluster, call)
    handlers = NAMED if call.name else MANY
    if request.method not in handlers or (call.subresource and request.method == "DELETE"):
        raise MethodNotAllowed()
    return await handlers[request.method](cluster, call)


async def refuse(_: Request, error: Exception) -> Response:
    """An ApiError as a Status."""
    if not isinstance(error, ApiError):
        raise error
    return JSONResponse(error.status(), error.code)


async def fail(_: Request, error: Exception) -> Response:
    """Anything else that went wrong, as a Status; the log has the trace."""
    refusal = InternalError(repr(error))
    return JSONResponse(refusal.status(), refusal.code)
