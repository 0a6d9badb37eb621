"""Whether an object fits its type: unknown fields, types, required fields, names. Error texts are the real server's."""

import re
from collections.abc import Iterator
from typing import Any

from include.standin.kubernetes import services
from include.standin.kubernetes.exceptions import BadRequest, Cause, Invalid, InvalidPatch, TypedPatchError
from include.standin.kubernetes.fieldsets import element, shown
from include.standin.kubernetes.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, DEPLOYMENT, REPLICA_SET, ROLE, ROLE_BINDING, SERVICE, Kind
from include.standin.kubernetes.schema import Schema
from include.standin.kubernetes.selectors import selects

PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", dict: "object", list: "array"}
GO_NAMES = {"integer": "int32", "boolean": "bool", "object": "map[string]string", "array": "[]string", "number": "float64"}
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
FREE_NAMES = (ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING)
"""Kinds whose names may hold more, such as `system:node`."""


def unknown_fields(value: Any, schema: Schema, at: str = "") -> Iterator[str]:
    """Paths of fields that the type does not have, as decoding errors write them: `spec.containers[0].imag`."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from unknown_fields(item, schema.item, f"{at}[{number}]")
    if not isinstance(value, dict):
        return
    for name, part in value.items():
        path = f"{at}.{name}" if at else name
        if not schema.preserves_unknown and name not in schema.properties:
            yield path
        else:
            yield from unknown_fields(part, schema.field(name), path)


def without_unknown(value: Any, schema: Schema) -> Any:
    """The value as the real server's decoding leaves it: without unknown fields, and without maps and lists that are empty."""
    if isinstance(value, list):
        return [without_unknown(item, schema.item) for item in value]
    if not isinstance(value, dict):
        return value
    if not schema.properties:
        return {name: without_unknown(part, schema.field(name)) for name, part in value.items()}
    known = {name: without_unknown(part, schema.field(name)) for name, part in value.items() if name in schema.properties}
    return {name: part for name, part in known.items() if not _left_out(name, part, schema)}


def _left_out(name: str, value: Any, schema: Schema) -> bool:
    """Whether encoding leaves the field out: null, or an empty map or list that is not required (Go's `omitempty`)."""
    if value is None:
        return True
    container = isinstance(value, list) or "additionalProperties" in schema.field(name).node
    return container and not value and name not in schema.node.get("required", ())


def check_types(value: Any, schema: Schema, kind: Kind, at: str = "", struct: str = "") -> None:
    """BadRequest for the first value whose JSON type is not the declared one."""
    struct = struct or kind.kind
    wanted = PYTHON_TYPES.get(schema.type)
    if value is None:
        return
    if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and schema.type != "boolean")):
        found, go = JSON_NAMES.get(type(value), "value"), GO_NAMES.get(schema.type, schema.type)
        where = f"Go struct field {struct}.{at}" if at else "Go value"
        said = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
        raise BadRequest(f"{said}: json: cannot unmarshal {found} into {where} of type {go}")
    if isinstance(value, dict):
        for name, part in value.items():
            check_types(part, schema.field(name), kind, f"{at}.{name}" if at else name, _struct(schema, name, kind))
    if isinstance(value, list):
        for item in value:
            check_types(item, schema.item, kind, at, struct)


def _struct(schema: Schema, name: str, kind: Kind) -> str:
    """The Go type that holds the field, as far as one can tell it from the documents' names."""
    return {"spec": f"{kind.kind}Spec", "metadata": "ObjectMeta", "status": f"{kind.kind}Status"}.get(name, kind.kind)


def check_decoding(value: dict[str, Any], schema: Schema, kind: Kind, strictness: str, patched: bool = False) -> list[str]:
    """Warnings about unknown fields for `Warn`; BadRequest (InvalidPatch) for `Strict`; nothing for `Ignore`."""
    check_types(value, schema, kind)
    found = [f'unknown field "{path}"' for path in unknown_fields(value, schema)]
    if found and strictness == "Strict" and patched:
        raise InvalidPatch(value, f"strict decoding error: {', '.join(found)}")
    if found and strictness == "Strict":
        said = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: strict decoding error: '
        raise BadRequest(said + ", ".join(found))
    return found if strictness == "Warn" else []


def check_applied(value: Any, schema: Schema, kind: Kind, who: str) -> None:
    """TypedPatchError for an applied object that does not fit its schema. `who`: namespace/name."""
    for path, why in _misfits(value, schema, ()):
        said = f"failed to create typed patch object ({who}; {kind.api_version}, Kind={kind.kind})"
        raise TypedPatchError(f"{said}: {shown(path)}: {why}")


def _misfits(value: Any, schema: Schema, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    wanted = PYTHON_TYPES.get(schema.type)
    if value is not None and wanted and not isinstance(value, wanted):
        yield at, f"expected {'numeric (int or float)' if schema.type == 'integer' else schema.type}, got {value!r}"
    elif isinstance(value, dict):
        for name, part in value.items():
            if not schema.preserves_unknown and name not in schema.properties:
                yield (*at, f"f:{name}"), "field not declared in schema"
            else:
                yield from _misfits(part, schema.field(name), (*at, f"f:{name}"))
    elif isinstance(value, list):
        for item in value:
            named = (element(schema, item),) if schema.keys and isinstance(item, dict) else ()
            yield from _misfits(item, schema.item, (*at, *named))


def check_object(kind: Kind, value: dict[str, Any], schema: Schema, live: dict[str, Any] | None) -> None:
    """Invalid for an object that breaks a rule of its kind; `live` is what it replaces."""
    name = value["metadata"].get("name", "")
    causes = [*_metadata(kind, value["metadata"]), *_required(value.get("spec"), schema.field("spec"), "spec")]
    if kind in (DEPLOYMENT, REPLICA_SET):
        causes += _workload(value, live)
    if kind is SERVICE:
        causes += services.check(value["spec"])
    if causes:
        raise Invalid(kind, name, causes)


def _metadata(kind: Kind, meta: dict[str, Any]) -> Iterator[Cause]:
    name = meta.get("name", "")
    if (kind not in FREE_NAMES and not SUBDOMAIN.fullmatch(name)) or len(name) > 253:
        yield Cause("FieldValueInvalid", f'Invalid value: "{name}": {NAME_RULE}', "metadata.name")
    for key, text in (meta.get("labels") or {}).items():
        if len(text) > 63 or not LABEL_VALUE.fullmatch(text):
            why = f"Invalid value: \"{text}\": a valid label must be at most 63 alphanumeric characters, '-', '_' or '.' (label {key})"
            yield Cause("FieldValueInvalid", why, "metadata.labels")


def _required(value: Any, schema: Schema, at: str) -> Iterator[Cause]:
    """Required fields of the documents: those without a default, below what is given."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _required(item, schema.item, f"{at}[{number}]")
    if not isinstance(value, dict):
        return
    for name in schema.node.get("required", ()):
        missing = (None, "") if schema.field(name).type in ("string", "array") else (None,)
        if value.get(name) in missing and schema.field(name).default is None:
            yield Cause("FieldValueRequired", "Required value", f"{at}.{name}")
    for name, part in value.items():
        yield from _required(part, schema.field(name), f"{at}.{name}")


def _workload(value: dict[str, Any], live: dict[str, Any] | None) -> Iterator[Cause]:
    spec = value.get("spec") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector")
    if labels and (not selector or not selects(selector, labels)):
        said = "{" + ",".join(f"{key!r}:{text!r}" for key, text in labels.items()).replace("'", '"') + "}"
        yield Cause(
            "FieldValueInvalid", f"Invalid value: {said}: `selector` does not match template `labels`", "spec.template.metadata.labels"
        )
    if isinstance(spec.get("replicas"), int) and spec["replicas"] < 0:
        why = f"Invalid value: {spec['replicas']}: must be greater than or equal to 0"
        yield Cause("FieldValueInvalid", why, "spec.replicas")
    if not (((spec.get("template") or {}).get("spec") or {}).get("containers")):
        yield Cause("FieldValueRequired", "Required value", "spec.template.spec.containers")
    if live and selector != live["spec"].get("selector"):
        yield Cause("FieldValueInvalid", "Invalid value: field is immutable", "spec.selector")
