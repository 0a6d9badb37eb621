"""Objects: read, listed, created, replaced, patched, deleted."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response, StreamingResponse

from include.standin.kubernetes import kinds, patches, selectors
from include.standin.kubernetes.authorization import Authorizer
from include.standin.kubernetes.cluster import Cluster
from include.standin.kubernetes.deleting import Options
from include.standin.kubernetes.exceptions import ApiError, BadRequest, Cause, NotFound
from include.standin.kubernetes.responses import watch
from include.standin.kubernetes.responses.calls import APPLY, JSON, PATCHES, YAML, Call, answer
from include.standin.kubernetes.schema import Schema
from include.standin.kubernetes.store import Object
from include.standin.kubernetes.tables import table
from include.standin.kubernetes.validation import check_applied, check_decoding, without_unknown

ROLES = (kinds.ROLE, kinds.CLUSTER_ROLE, kinds.ROLE_BINDING, kinds.CLUSTER_ROLE_BINDING)


def matcher(call: Call) -> Callable[[Object], bool]:
    """The selectors of a request as one test."""
    labels, fields = selectors.labels(call.query.get("labelSelector", "")), selectors.fields(call.query.get("fieldSelector", ""))
    return lambda found: labels(found["metadata"].get("labels") or {}) and fields(found)


def shown(cluster: Cluster, call: Call, found: Object) -> Response:
    """One object, as a table where that is asked for."""
    if call.accepts_table:
        return answer(table(call.kind, [found], cluster.store.revision, call.query.get("includeObject") == "Object"))
    return answer(found)


def authorize(authorizer: Authorizer, call: Call) -> None:
    """Forbidden unless the caller may; a field selector on the name counts as the name."""
    named = selectors.named(call.query.get("fieldSelector", "")) if not call.name else ""
    authorizer.require(call.user, call.action(named), call.kind)


async def read(cluster: Cluster, call: Call) -> Response:
    """`GET` of one object."""
    return shown(cluster, call, cluster.store.peek(call.key))


async def collection(cluster: Cluster, call: Call) -> Response:
    """`GET` of many: a list, a table, or a watch."""
    matches = matcher(call)
    if call.watches:
        watch.revision(call)
        watch.duration(call)
        return StreamingResponse(watch.stream(cluster.store, call, matches), media_type=JSON)
    found = [one for one in cluster.store.all(call.kind, call.namespace) if matches(one)]
    if call.accepts_table:
        return answer(table(call.kind, found, cluster.store.revision, call.query.get("includeObject") == "Object"))
    meta = {"resourceVersion": str(cluster.store.revision)}
    return answer({"kind": f"{call.kind.kind}List", "apiVersion": call.kind.api_version, "metadata": meta, "items": found})


def _decoded(call: Call, value: Object, patched: bool = False) -> tuple[Object, list[str]]:
    """The object as its type has it, and warnings about fields that it does not have."""
    schema = Schema.of(call.kind)
    warnings = check_decoding(value, schema, call.kind, call.strictness, patched)
    return without_unknown(value, schema), warnings


def _check_roles(cluster: Cluster, call: Call, value: Object) -> None:
    if call.kind in ROLES:
        scoped = value | {"metadata": value["metadata"] | ({"namespace": call.namespace} if call.namespace else {})}
        cluster.authorizer.check_escalation(call.user, call.kind, scoped)


async def create(cluster: Cluster, call: Call) -> Response:
    """`POST` of a new object."""
    value, warnings = _decoded(call, await call.object())
    _check_roles(cluster, call, value)
    stored, more = cluster.writer.create(call.kind, call.namespace, value, call.author)
    return answer(stored, 201, warnings + more)


async def replace(cluster: Cluster, call: Call) -> Response:
    """`PUT`: the whole object, or its status."""
    value, warnings = _decoded(call, await call.object())
    _check_roles(cluster, call, value)
    stored, more = cluster.writer.update(call.key, cluster.store.get(call.key), value, call.author, call.subresource)
    return answer(stored, 200, warnings + more)


async def patch(cluster: Cluster, call: Call) -> Response:
    """`PATCH`, of four kinds."""
    if call.content_type == APPLY:
        return await apply(cluster, call)
    body = await call.body(PATCHES)
    live = cluster.store.get(call.key)
    value, warnings = _decoded(call, _patched(call, live, body), patched=True)
    if isinstance(body, list) or "resourceVersion" not in (body.get("metadata") or {}):
        value["metadata"].pop("resourceVersion", None)
    _check_roles(cluster, call, value)
    stored, more = cluster.writer.update(call.key, live, value, call.author, call.subresource)
    return answer(stored, 200, warnings + more)


def _patched(call: Call, live: Object, body: Any) -> Object:
    """The live object with the patch on it."""
    if "json-patch" in call.content_type:
        value = patches.json_patch(live, body)
    elif not isinstance(body, dict):
        raise BadRequest("error decoding patch: the body is no object")
    elif "strategic" in call.content_type:
        value = patches.strategic(live, body, Schema.of(call.kind))
    else:
        value = patches.merge_patch(live, body)
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        raise BadRequest("the patch leaves no object")
    call.check_identity(value)
    return value


async def apply(cluster: Cluster, call: Call) -> Response:
    """Server-side apply."""
    config = await call.body((APPLY, JSON, YAML))
    if not call.query.get("fieldManager"):
        causes = [Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager").json()]
        message = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
        raise ApiError(422, "Invalid", message, {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": causes})
    if not isinstance(config, dict) or "apiVersion" not in config or "kind" not in config:
        raise BadRequest("the applied object must have apiVersion and kind")
    call.check_identity(config)
    if config["metadata"].get("managedFields"):
        raise BadRequest("metadata.managedFields must be nil")
    schema = Schema.of(call.kind)
    check_applied(config, schema, call.kind, f"{config['metadata'].get('namespace', '')}/{call.name}")
    config["metadata"]["name"] = call.name
    live = cluster.store.get(call.key) if cluster.store.has(call.key) else None
    if live is None:
        if call.subresource:
            raise NotFound(call.kind, call.name)
        cluster.authorizer.require(call.user, call.action(verb="create"), call.kind)
    _check_roles(cluster, call, config)
    force = call.says("force")
    stored, warnings = cluster.writer.apply(call.key, live, config, call.author, force, call.subresource)
    return answer(stored, 200 if live else 201, warnings)


async def delete(cluster: Cluster, call: Call) -> Response:
    """`DELETE` of one object, or of all that match."""
    body = await call.body() if await call.request.body() else {}
    options = Options.read(body if isinstance(body, dict) else {}, call.query)
    if call.name:
        return answer(cluster.deleter.delete(call.key, options, call.author))
    matches = matcher(call)
    found = [one for one in cluster.store.all(call.kind, call.namespace) if matches(one)]
    for one in found:
        key = type(call.key)(call.kind, one["metadata"].get("namespace", ""), one["metadata"]["name"])
        cluster.deleter.delete(key, options, call.author)
    meta = {"resourceVersion": str(cluster.store.revision)}
    return answer({"kind": f"{call.kind.kind}List", "apiVersion": call.kind.api_version, "metadata": meta, "items": found})
