"""Reviews: who am I, what may I do, whose token is this. Answered, never stored."""

from typing import Any

from starlette.responses import Response

from include.standin.kubernetes import kinds
from include.standin.kubernetes.authorization import MASTERS, Action
from include.standin.kubernetes.cluster import Cluster
from include.standin.kubernetes.exceptions import BadRequest, MethodNotAllowed, Unauthorized
from include.standin.kubernetes.responses.calls import Call, answer
from include.standin.kubernetes.tokens import User


def _described(user: User) -> dict[str, Any]:
    return {"username": user.name, "groups": list(user.groups)} | ({"uid": user.uid} if user.uid else {})


def _action(spec: dict[str, Any]) -> Action:
    if path := spec.get("nonResourceAttributes"):
        return Action(path.get("verb", ""), path=path.get("path", ""))
    asked = spec.get("resourceAttributes") or {}
    if not asked:
        raise BadRequest("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    fields = {name: asked.get(name, "") for name in ("verb", "group", "resource", "subresource", "namespace", "name")}
    return Action(**fields)


def _access(cluster: Cluster, user: User, spec: dict[str, Any]) -> dict[str, Any]:
    return {"allowed": cluster.authorizer.allowed(user, _action(spec))}


def _rules(cluster: Cluster, user: User, spec: dict[str, Any]) -> dict[str, Any]:
    rules = list(cluster.authorizer.rules(user, spec.get("namespace", "")))
    if MASTERS in user.groups:
        rules.append({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
    resource = [rule for rule in rules if rule.get("resources")]
    paths = [rule for rule in rules if rule.get("nonResourceURLs")]
    return {"resourceRules": resource, "nonResourceRules": paths, "incomplete": False}


def _token(cluster: Cluster, spec: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"authenticated": True, "user": _described(cluster.tokens.authenticate(spec.get("token", ""), cluster.store))}
    except Unauthorized:
        return {"authenticated": False, "error": "invalid bearer token"}


async def respond(cluster: Cluster, call: Call) -> Response:
    """The review with its status filled in."""
    if call.request.method != "POST":
        raise MethodNotAllowed()
    review = await call.object()
    spec = review.get("spec") or {}
    if call.kind is kinds.SELF_ACCESS_REVIEW:
        status = _access(cluster, call.user, spec)
    elif call.kind is kinds.ACCESS_REVIEW:
        status = _access(cluster, User(spec.get("user", ""), tuple(spec.get("groups") or ())), spec)
    elif call.kind is kinds.SELF_RULES_REVIEW:
        status = _rules(cluster, call.user, spec)
    elif call.kind is kinds.TOKEN_REVIEW:
        status = _token(cluster, spec)
    else:
        status = {"userInfo": _described(call.user)}
    return answer(review | {"kind": call.kind.kind, "apiVersion": call.kind.api_version, "status": status}, 201)
