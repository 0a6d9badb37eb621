"""Role-based access control: who may do what (rbac.authorization.k8s.io)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from include.standin.kubernetes import kinds
from include.standin.kubernetes.exceptions import Forbidden, ForbiddenPath
from include.standin.kubernetes.kinds import Kind
from include.standin.kubernetes.store import Key, Store
from include.standin.kubernetes.tokens import User

MASTERS = "system:masters"
Rule = dict[str, Any]


@dataclass(frozen=True)
class Action:
    """What someone wants to do. `namespace` empty: at the cluster scope; `path`: of something that is no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        """`pods`, `pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def covered(self, rule: Rule) -> bool:
        """Whether the rule allows it."""
        if self.verb not in rule.get("verbs", ()) and "*" not in rule.get("verbs", ()):
            return False
        if self.path:
            return any(
                self.path == url or (url.endswith("*") and self.path.startswith(url[:-1])) for url in rule.get("nonResourceURLs") or ()
            )
        names = rule.get("resourceNames") or ()
        return _has(rule.get("apiGroups"), self.group) and self._resource(rule.get("resources")) and (not names or self.name in names)

    def _resource(self, found: list[str] | None) -> bool:
        wanted = {"*", self.full_resource, f"*/{self.subresource}" if self.subresource else "*"}
        return bool(wanted.intersection(found or ()))

    def refusal(self, user: User) -> str:
        """What the real server says to a user who may not."""
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        return f'User "{user.name}" cannot {self.verb} resource "{self.full_resource}" in API group "{self.group}" {where}'


def _has(found: list[str] | None, wanted: str) -> bool:
    return "*" in (found or ()) or wanted in (found or ())


class Authorizer:
    """Decides by the roles and bindings that are stored."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def allowed(self, user: User, action: Action) -> bool:
        """Whether the user may."""
        return MASTERS in user.groups or any(action.covered(rule) for rule in self.rules(user, action.namespace))

    def require(self, user: User, action: Action, kind: Kind) -> None:
        """Forbidden when the user may not."""
        if not self.allowed(user, action):
            raise Forbidden(kind, action.name, action.refusal(user))

    def require_path(self, user: User, verb: str, path: str) -> None:
        """ForbiddenPath when the user may not."""
        if not self.allowed(user, Action(verb, path=path)):
            raise ForbiddenPath(user.name, verb, path)

    def rules(self, user: User, namespace: str) -> Iterator[Rule]:
        """Every rule that holds for the user in the namespace."""
        for binding in self.store.all(kinds.CLUSTER_ROLE_BINDING):
            if _bound(binding, user, ""):
                yield from self._role(binding, "")
        for binding in self.store.all(kinds.ROLE_BINDING, namespace) if namespace else ():
            if _bound(binding, user, namespace):
                yield from self._role(binding, namespace)

    def _role(self, binding: dict[str, Any], namespace: str) -> list[Rule]:
        reference = binding.get("roleRef") or {}
        cluster = reference.get("kind") == "ClusterRole"
        key = Key(kinds.CLUSTER_ROLE if cluster else kinds.ROLE, "" if cluster else namespace, reference.get("name", ""))
        return (self.store.peek(key).get("rules") or []) if self.store.has(key) else []

    def check_escalation(self, user: User, kind: Kind, value: dict[str, Any]) -> None:
        """Forbidden when a role, or a binding, would give more than the user has."""
        meta = value["metadata"]
        namespace = meta.get("namespace", "")
        wanted = value.get("rules") or [] if kind in (kinds.ROLE, kinds.CLUSTER_ROLE) else self._role(value, namespace)
        missing = [action for rule in wanted for action in _actions(rule, namespace) if not self.allowed(user, action)]
        if missing and not self.allowed(user, _exempt(kind, value, namespace)):
            first = missing[0]
            rule = f'{{APIGroups:["{first.group}"], Resources:["{first.full_resource}"], Verbs:["{first.verb}"]}}'
            who = f'user "{user.name}" (groups={list(user.groups)}) is attempting to grant RBAC permissions not currently held:'
            raise Forbidden(kind, meta.get("name", ""), f"{who}\n{rule}")


def _exempt(kind: Kind, value: dict[str, Any], namespace: str) -> Action:
    """The permission that lifts the rule against escalation: `escalate` on roles, `bind` on the role that is bound."""
    if kind in (kinds.ROLE, kinds.CLUSTER_ROLE):
        return Action("escalate", kind.group, kind.plural, "", namespace, value["metadata"].get("name", ""))
    reference = value.get("roleRef") or {}
    plural = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
    return Action("bind", kind.group, plural, "", namespace, reference.get("name", ""))


def _actions(rule: Rule, namespace: str) -> Iterator[Action]:
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield Action(verb, path=url)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                plural, _, subresource = resource.partition("/")
                for name in rule.get("resourceNames") or [""]:
                    yield Action(verb, group, plural, subresource, namespace, name)


def _bound(binding: dict[str, Any], user: User, namespace: str) -> bool:
    return any(_is(subject, user, namespace) for subject in binding.get("subjects") or ())


def _is(subject: dict[str, Any], user: User, namespace: str) -> bool:
    if subject.get("kind") == "Group":
        return subject["name"] in user.groups
    if subject.get("kind") == "ServiceAccount":
        return user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject['name']}"
    return subject.get("kind") == "User" and subject["name"] == user.name


def _role(name: str, *rules: Rule) -> dict[str, Any]:
    return {"apiVersion": kinds.CLUSTER_ROLE.api_version, "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)}


def _binding(name: str, group: str) -> dict[str, Any]:
    return {
        "apiVersion": kinds.CLUSTER_ROLE.api_version,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": kinds.RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "Group", "apiGroup": kinds.RBAC, "name": group}],
    }


READ, WRITE = ["get", "list", "watch"], ["create", "delete", "deletecollection", "patch", "update"]
PLAIN = ["pods", "pods/log", "pods/status", "services", "endpoints", "configmaps", "events", "persistentvolumeclaims", "serviceaccounts"]
SCALED = ["deployments", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets", "daemonsets"]
WORK: Rule = {
    "apiGroups": ["", "apps", "networking.k8s.io", "policy"],
    "resources": [*PLAIN, *SCALED, "networkpolicies", "poddisruptionbudgets"],
    "verbs": READ,
}
SECRETS: Rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": READ + WRITE}
ROLES: Rule = {"apiGroups": [kinds.RBAC], "resources": ["roles", "rolebindings"], "verbs": READ + WRITE}
BOOTSTRAP: tuple[tuple[Kind, dict[str, Any]], ...] = (
    (
        kinds.CLUSTER_ROLE,
        _role(
            "cluster-admin",
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
            {"nonResourceURLs": ["*"], "verbs": ["*"]},
        ),
    ),
    (kinds.CLUSTER_ROLE, _role("view", WORK)),
    (kinds.CLUSTER_ROLE, _role("edit", WORK | {"verbs": READ + WRITE}, SECRETS)),
    (kinds.CLUSTER_ROLE, _role("admin", WORK | {"verbs": READ + WRITE}, SECRETS, ROLES)),
    (
        kinds.CLUSTER_ROLE,
        _role(
            "system:discovery",
            {"nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version", "/healthz"], "verbs": ["get"]},
            {"nonResourceURLs": ["/livez", "/readyz"], "verbs": ["get"]},
        ),
    ),
    (
        kinds.CLUSTER_ROLE,
        _role(
            "system:basic-user",
            {"apiGroups": [kinds.AUTHORIZATION], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], "verbs": ["create"]},
            {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
        ),
    ),
    (kinds.CLUSTER_ROLE_BINDING, _binding("cluster-admin", MASTERS)),
    (kinds.CLUSTER_ROLE_BINDING, _binding("system:discovery", "system:authenticated")),
    (kinds.CLUSTER_ROLE_BINDING, _binding("system:basic-user", "system:authenticated")),
)
"""What every cluster has from its start, as far as it is of use here."""
