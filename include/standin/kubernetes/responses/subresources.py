"""Subresources with types of their own: scale, token, binding, eviction."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from include.standin.kubernetes import patches
from include.standin.kubernetes.cluster import Cluster
from include.standin.kubernetes.deleting import Options
from include.standin.kubernetes.exceptions import ApiError, BadRequest, Conflict, MethodNotAllowed
from include.standin.kubernetes.responses import logs
from include.standin.kubernetes.responses.calls import JSON, PATCHES, YAML, Call, answer
from include.standin.kubernetes.store import Object
from include.standin.kubernetes.tokens import LONGEST, SHORTEST


def _scale_of(found: Object) -> Object:
    meta = {name: found["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    labels = (found["spec"].get("selector") or {}).get("matchLabels") or {}
    status = {
        "replicas": found.get("status", {}).get("replicas", 0),
        "selector": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
    }
    replicas = found["spec"].get("replicas", 1)
    spec = {"replicas": replicas} if replicas else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": status}


async def scale(cluster: Cluster, call: Call) -> Response:
    """`GET`, `PUT`, `PATCH .../scale`: an autoscaling/v1 Scale."""
    live = cluster.store.get(call.key)
    if call.request.method == "GET":
        return answer(_scale_of(live))
    body = await call.body((JSON, YAML, *PATCHES))
    wanted = body if call.request.method == "PUT" else _patched_scale(call, _scale_of(live), body)
    replicas = wanted.get("spec", {}).get("replicas", 0) if isinstance(wanted, dict) else None
    if not isinstance(replicas, int) or replicas < 0:
        raise ApiError(
            422, "Invalid", f'Scale.autoscaling "{call.name}" is invalid: spec.replicas: Invalid value: {replicas}: must be a number >= 0'
        )
    live["spec"]["replicas"] = replicas
    live["metadata"]["resourceVersion"] = wanted.get("metadata", {}).get("resourceVersion", live["metadata"]["resourceVersion"])
    stored, warnings = cluster.writer.update(call.key, cluster.store.get(call.key), live, call.author)
    return answer(_scale_of(stored), 200, warnings)


def _patched_scale(call: Call, found: Object, body: Any) -> Any:
    return patches.json_patch(found, body) if "json-patch" in call.content_type else patches.merge_patch(found, body)


async def token(cluster: Cluster, call: Call) -> Response:
    """`POST .../serviceaccounts/<name>/token`: a TokenRequest."""
    account = cluster.store.get(call.key)
    body = await call.body()
    spec = (body.get("spec") or {}) if isinstance(body, dict) else {}
    seconds = spec.get("expirationSeconds")
    if seconds is not None and not (isinstance(seconds, int) and SHORTEST <= seconds <= LONGEST):
        why = f"may not specify a duration less than 10 minutes: spec.expirationSeconds: Invalid value: {seconds}"
        raise ApiError(422, "Invalid", f'TokenRequest.authentication.k8s.io "" is invalid: {why}')
    issued, expires = cluster.tokens.request(account, spec)
    status = {"token": issued, "expirationTimestamp": datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    meta = {"name": call.name, "namespace": call.namespace, "creationTimestamp": account["metadata"]["creationTimestamp"]}
    said = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": meta, "spec": spec, "status": status}
    return answer(said, 201)


async def binding(cluster: Cluster, call: Call) -> Response:
    """`POST .../pods/<name>/binding`: put the pod on a node."""
    body = await call.body()
    node = ((body.get("target") or {}) if isinstance(body, dict) else {}).get("name")
    if not node:
        raise BadRequest("a Binding names a node as target.name")
    live = cluster.store.get(call.key)
    if live["spec"].get("nodeName"):
        raise Conflict(call.kind, call.name, f"pod {call.name} is already assigned to node {live['spec']['nodeName']!r}")
    live["spec"]["nodeName"] = node
    cluster.writer.update(call.key, cluster.store.get(call.key), live, call.author)
    return answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


async def eviction(cluster: Cluster, call: Call) -> Response:
    """`POST .../pods/<name>/eviction`: delete the pod; disruption budgets are not looked at."""
    body = await call.body()
    options = (body.get("deleteOptions") or {}) if isinstance(body, dict) else {}
    cluster.deleter.delete(call.key, Options.read(options, {}), call.author)
    return answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


async def log(cluster: Cluster, call: Call) -> Response:
    """`GET .../pods/<name>/log`."""
    return await logs.read(cluster.store, call, cluster.context)


HANDLERS: dict[str, tuple[tuple[str, ...], Callable[[Cluster, Call], Awaitable[Response]]]] = {
    "scale": (("GET", "PUT", "PATCH"), scale),
    "token": (("POST",), token),
    "binding": (("POST",), binding),
    "eviction": (("POST",), eviction),
    "log": (("GET",), log),
}
"""Subresource -> methods and answer; `status` is answered with the objects."""


async def respond(cluster: Cluster, call: Call) -> Response:
    """The subresource's answer."""
    methods, handler = HANDLERS[call.subresource]
    if call.request.method not in methods:
        raise MethodNotAllowed()
    return await handler(cluster, call)
