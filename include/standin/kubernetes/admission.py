"""ValidatingAdmissionPolicy with bindings and parameters: CEL, as the real server evaluates it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from include.standin.kubernetes import kinds
from include.standin.kubernetes.exceptions import Denied
from include.standin.kubernetes.expressions import program
from include.standin.kubernetes.kinds import Kind
from include.standin.kubernetes.selectors import selects
from include.standin.kubernetes.store import Key, Store
from include.standin.kubernetes.tokens import User

EXEMPT = (kinds.POLICY, kinds.POLICY_BINDING)
"""Kinds that policies never see: nobody can lock themselves out."""
MISSING_PARAMS = "no params found for policy binding with `Deny` parameterNotFoundAction"


@dataclass(frozen=True)
class Review:
    """One change that is asked for."""

    kind: Kind
    namespace: str
    name: str
    operation: str
    """`CREATE`, `UPDATE`, `DELETE`."""
    object: dict[str, Any] | None
    old: dict[str, Any] | None
    user: User
    subresource: str = ""
    dry_run: bool = False

    def request(self) -> dict[str, Any]:
        """The variable `request` of expressions (AdmissionRequest)."""
        kind = {"group": self.kind.group, "version": self.kind.version}
        return {
            "kind": kind | {"kind": self.kind.kind},
            "resource": kind | {"resource": self.kind.plural},
            "subResource": self.subresource,
            "name": self.name,
            "namespace": self.namespace,
            "operation": self.operation,
            "userInfo": {"username": self.user.name, "groups": list(self.user.groups), "uid": self.user.uid},
            "dryRun": self.dry_run,
        }


class Admission:
    """Checks changes against the policies that are stored."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def check(self, review: Review) -> list[str]:
        """Warnings of bindings that only warn; Denied at the first validation that fails."""
        warnings: list[str] = []
        if review.kind in EXEMPT:
            return warnings
        for binding in self.store.all(kinds.POLICY_BINDING):
            key = Key(kinds.POLICY, "", binding["spec"].get("policyName", ""))
            if self.store.has(key) and self._concerns(self.store.peek(key), binding, review):
                warnings += self._enforce(self.store.peek(key), binding, review)
        return warnings

    def _concerns(self, policy: dict[str, Any], binding: dict[str, Any], review: Review) -> bool:
        constraints = policy["spec"].get("matchConstraints") or {}
        if not any(_rule_matches(rule, review) for rule in constraints.get("resourceRules") or ()):
            return False
        if any(_rule_matches(rule, review) for rule in constraints.get("excludeResourceRules") or ()):
            return False
        narrowed = binding["spec"].get("matchResources") or {}
        rules = narrowed.get("resourceRules")
        if rules and not any(_rule_matches(rule, review) for rule in rules):
            return False
        return all(self._selected(found, review) for found in (constraints, narrowed))

    def _selected(self, constraints: dict[str, Any], review: Review) -> bool:
        found = review.object or review.old or {}
        if not selects(constraints.get("objectSelector"), found.get("metadata", {}).get("labels") or {}):
            return False
        namespace = review.namespace or (review.name if review.kind is kinds.NAMESPACE else "")
        key = Key(kinds.NAMESPACE, "", namespace)
        labels = self.store.peek(key)["metadata"].get("labels") or {} if self.store.has(key) else {}
        return not namespace or selects(constraints.get("namespaceSelector"), labels)

    def _enforce(self, policy: dict[str, Any], binding: dict[str, Any], review: Review) -> list[str]:
        who = f"ValidatingAdmissionPolicy '{policy['metadata']['name']}' with binding '{binding['metadata']['name']}' denied request: "
        actions = binding["spec"].get("validationActions") or ["Deny"]
        warnings = []
        for failure in self._failures(policy, binding, review):
            if "Deny" in actions:
                raise Denied(review.kind, review.name, who + failure.message, failure.reason)
            if "Warn" in actions:
                message = f"Validation failed for ValidatingAdmissionPolicy '{policy['metadata']['name']}' with binding "
                warnings.append(f"{message}'{binding['metadata']['name']}': {failure.message}")
        return warnings

    def _failures(self, policy: dict[str, Any], binding: dict[str, Any], review: Review) -> Iterator["Failure"]:
        fails = policy["spec"].get("failurePolicy", "Fail") == "Fail"
        params = self._params(policy, binding, review)
        if not params and policy["spec"].get("paramKind"):
            if (binding["spec"].get("paramRef") or {}).get("parameterNotFoundAction", "Deny") == "Deny" and fails:
                yield Failure(f"failed to configure binding: {MISSING_PARAMS}")
            return
        every: list[dict[str, Any] | None] = [*params] or [None]
        for found in every:
            yield from _evaluate(policy["spec"], found, review, fails)

    def _params(self, policy: dict[str, Any], binding: dict[str, Any], review: Review) -> list[dict[str, Any]]:
        """Objects that the binding's `paramRef` names, by name or by label."""
        reference, kind = binding["spec"].get("paramRef"), policy["spec"].get("paramKind") or {}
        found = kinds.BY_KIND.get((kind.get("apiVersion", ""), kind.get("kind", "")))
        if not reference or not found:
            return []
        namespace = (reference.get("namespace") or review.namespace) if found.namespaced else ""
        if reference.get("name"):
            key = Key(found, namespace, reference["name"])
            return [self.store.get(key)] if self.store.has(key) else []
        return [one for one in self.store.all(found, namespace) if selects(reference.get("selector"), one["metadata"].get("labels") or {})]


@dataclass(frozen=True)
class Failure:
    """A validation that failed."""

    message: str
    reason: str = "Invalid"


def _rule_matches(rule: dict[str, Any], review: Review) -> bool:
    def has(field: str, value: str) -> bool:
        return "*" in (rule.get(field) or ()) or value in (rule.get(field) or ())

    resource = f"{review.kind.plural}/{review.subresource}" if review.subresource else review.kind.plural
    everything = "*/*" in (rule.get("resources") or ())
    matches = everything or resource in (rule.get("resources") or ()) or (not review.subresource and "*" in (rule.get("resources") or ()))
    named = not rule.get("resourceNames") or review.name in rule["resourceNames"]
    return (
        has("apiGroups", review.kind.group)
        and has("apiVersions", review.kind.version)
        and has("operations", review.operation)
        and matches
        and named
    )


def _evaluate(spec: dict[str, Any], params: dict[str, Any] | None, review: Review, fails: bool) -> Iterator[Failure]:
    names: dict[str, Any] = {
        "object": review.object,
        "oldObject": review.old,
        "params": params,
        "request": review.request(),
        "variables": {},
    }
    try:
        for condition in spec.get("matchConditions") or ():
            if program(condition["expression"]).execute(names) is not True:
                return
        for variable in spec.get("variables") or ():
            names["variables"] = names["variables"] | {variable["name"]: program(variable["expression"]).execute(names)}
    except Exception as error:  # the CEL extension raises many types, and which is no matter here
        if fails:
            yield Failure(f"expression resulted in error: {error}")
        return
    for rule in spec.get("validations") or ():
        if failure := _validate(rule, names, fails):
            yield failure


def _validate(rule: dict[str, Any], names: dict[str, Any], fails: bool) -> Failure | None:
    reason = rule.get("reason", "Invalid")
    try:
        if program(rule["expression"]).execute(names) is True:
            return None
    except Exception as error:  # as above
        return Failure(f"expression '{rule['expression']}' resulted in error: {error}", reason) if fails else None
    said = rule.get("message") or f"failed expression: {rule['expression']}"
    if rule.get("messageExpression"):
        try:
            said = str(program(rule["messageExpression"]).execute(names)) or said
        except Exception as error:  # the real server falls back as well
            return Failure(f"{said} ({error})", reason)
    return Failure(said, reason)
