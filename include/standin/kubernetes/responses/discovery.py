"""What is served: versions, groups, resources, OpenAPI."""

import platform
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from include.standin.kubernetes import schema
from include.standin.kubernetes.exceptions import NoSuchPath
from include.standin.kubernetes.kinds import GROUP_VERSIONS, KINDS, VERBS, Kind

VERSION = "v1.36.3"
"""The server whose OpenAPI is served."""


async def version(_: Request) -> Response:
    """`GET /version`."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return JSONResponse(
        {
            "major": "1",
            "minor": "36",
            "gitVersion": f"{VERSION}+edgeloop",
            "gitCommit": "",
            "gitTreeState": "clean",
            "buildDate": "2026-01-01T00:00:00Z",
            "goVersion": "none",
            "compiler": "none",
            "platform": f"{platform.system().lower()}/{machine}",
        }
    )


async def healthy(_: Request) -> Response:
    """`GET /livez`, `/readyz`, `/healthz`."""
    return PlainTextResponse("ok")


async def core_versions(request: Request) -> Response:
    """`GET /api`."""
    address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": request.url.netloc}]
    return JSONResponse({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address})


async def groups(_: Request) -> Response:
    """`GET /apis`."""
    found = [_group(group_version) for group_version in GROUP_VERSIONS if "/" in group_version]
    return JSONResponse({"kind": "APIGroupList", "apiVersion": "v1", "groups": found})


async def group(request: Request) -> Response:
    """`GET /apis/<group>`."""
    for group_version in GROUP_VERSIONS:
        if group_version.partition("/")[0] == request.path_params["group"]:
            return JSONResponse({"kind": "APIGroup", "apiVersion": "v1"} | _group(group_version))
    raise NoSuchPath()


def _group(group_version: str) -> dict[str, Any]:
    name, _, number = group_version.partition("/")
    served = {"groupVersion": group_version, "version": number}
    return {"name": name, "versions": [served], "preferredVersion": served}


async def resources(request: Request) -> Response:
    """`GET /api/v1`, `/apis/<group>/<version>`."""
    path = request.path_params
    wanted = f"{path['group']}/{path['version']}" if "group" in path else path["version"]
    found = [entry for kind in KINDS if kind.api_version == wanted for entry in _resources(kind)]
    if not found:
        raise NoSuchPath()
    return JSONResponse({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": wanted, "resources": found})


def _resources(kind: Kind) -> list[dict[str, Any]]:
    one: dict[str, Any] = {"name": kind.plural, "singularName": kind.kind.lower(), "namespaced": kind.namespaced, "kind": kind.kind}
    one["verbs"] = list(VERBS) if kind.stored else ["create"]
    if kind.short:
        one["shortNames"] = list(kind.short)
    if kind.categories:
        one["categories"] = list(kind.categories)
    return [one, *(_subresource(kind, name) for name in kind.subresources)]


def _subresource(kind: Kind, name: str) -> dict[str, Any]:
    said: dict[str, Any] = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced, "kind": kind.kind}
    foreign = {
        "scale": ("autoscaling", "v1", "Scale"),
        "token": ("authentication.k8s.io", "v1", "TokenRequest"),
        "eviction": ("policy", "v1", "Eviction"),
    }
    if name in foreign:
        said |= dict(zip(("group", "version", "kind"), foreign[name], strict=True))
    if name == "binding":
        said["kind"] = "Binding"
    verbs = {"log": ["get"], "token": ["create"], "binding": ["create"], "eviction": ["create"]}
    return said | {"verbs": verbs.get(name, ["get", "patch", "update"])}


async def documents(_: Request) -> Response:
    """`GET /openapi/v3`."""
    paths = [f"apis/{one}" if "/" in one else f"api/{one}" for one in GROUP_VERSIONS]
    return JSONResponse({"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={VERSION}"} for path in paths}})


async def document(request: Request) -> Response:
    """`GET /openapi/v3/<path>`."""
    path = request.path_params["path"]
    if path not in {f"apis/{one}" if "/" in one else f"api/{one}" for one in GROUP_VERSIONS}:
        raise NoSuchPath()
    return JSONResponse(schema.document(path))
