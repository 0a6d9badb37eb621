"""Server-side apply: merge, ownership, conflicts (Kubernetes: Server-Side Apply; structured-merge-diff `merge/update.go`)."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from include.standin.kubernetes import fieldsets
from include.standin.kubernetes.exceptions import ApplyConflict, Cause
from include.standin.kubernetes.fieldsets import Fields, Path
from include.standin.kubernetes.last_applied import inherited
from include.standin.kubernetes.schema import Schema

UNOWNED = ("name", "generateName", "namespace", "uid", "creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink")
"""Fields of metadata that nobody owns: the server's (`stripmeta.go`)."""


def now() -> str:
    """The time in RFC 3339, to the second, as metadata has it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Manager:
    """Who writes, how, in which version."""

    name: str
    operation: str
    """`Apply` or `Update`."""
    api_version: str
    subresource: str = ""


@dataclass(frozen=True)
class Entry:
    """One entry of `managedFields`."""

    manager: Manager
    fields: Fields
    time: str

    @classmethod
    def read(cls, said: dict[str, Any]) -> "Entry":
        """The entry as an object carries it."""
        manager = Manager(
            said.get("manager", "unknown"), said.get("operation", "Update"), said.get("apiVersion", ""), said.get("subresource", "")
        )
        return cls(manager, fieldsets.from_fields_v1(said.get("fieldsV1") or {}), said.get("time", now()))

    def json(self) -> dict[str, Any]:
        """The entry as the API writes it."""
        said = {
            "manager": self.manager.name,
            "operation": self.manager.operation,
            "apiVersion": self.manager.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fieldsets.to_fields_v1(self.fields),
        }
        return said | ({"subresource": self.manager.subresource} if self.manager.subresource else {})

    def without(self, fields: Fields) -> "Entry":
        """The entry after others took or removed fields."""
        return replace(self, fields=self.fields - fields) if self.fields & fields else self


def entries(live: dict[str, Any] | None) -> list[Entry]:
    """The managers of an object."""
    return [Entry.read(said) for said in (live or {}).get("metadata", {}).get("managedFields") or ()]


def _content(value: dict[str, Any] | None) -> dict[str, Any]:
    """The object without what nobody owns."""
    stripped = {key: part for key, part in (value or {}).items() if key not in ("apiVersion", "kind", "metadata")}
    meta = {key: part for key, part in ((value or {}).get("metadata") or {}).items() if key not in UNOWNED}
    return stripped | {"metadata": meta}


def _owned(fields: Fields, subresource: str) -> Fields:
    """Fields that a request can own: its own part of the object only."""
    if subresource == "status":
        return frozenset(path for path in fields if path[0] == "f:status")
    return frozenset(path for path in fields if path[0] != "f:status" and path != ("f:metadata",))


def apply(live: dict[str, Any] | None, config: dict[str, Any], schema: Schema, manager: Manager, force: bool) -> dict[str, Any]:
    """The live object with the configuration merged in and what the manager no longer names removed.

    Raises ApplyConflict for fields that others own with other values, unless forced.
    """
    before = live or {"apiVersion": config["apiVersion"], "kind": config["kind"], "metadata": {}}
    named = _owned(fieldsets.field_set(_content(config), schema), manager.subresource)
    others = [entry for entry in entries(live) if entry.manager != manager]
    mine = next((entry for entry in entries(live) if entry.manager == manager), None)
    merged = merge(before, _applied(config), schema)
    if mine:
        managed = fieldsets.parents(named.union(*(entry.fields for entry in others)))
        merged = fieldsets.remove(merged, schema, fieldsets.parents(mine.fields) - managed)
        merged.setdefault("metadata", copy.deepcopy(before["metadata"]))
    difference = fieldsets.compare(_content(live), _content(merged), schema)
    if not force:
        _refuse_conflicts(others, difference.changed - inherited(live, manager.name, schema))
    kept = [entry.without(difference.changed).without(difference.removed) for entry in others]
    entry = mine if mine and mine.fields == named else Entry(manager, named, now())
    merged["metadata"]["managedFields"] = _written([*kept, entry])
    return merged


def _applied(config: dict[str, Any]) -> dict[str, Any]:
    server = ("uid", "creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink")
    return config | {"metadata": {key: value for key, value in config.get("metadata", {}).items() if key not in server}}


def _written(found: Iterable[Entry]) -> list[dict[str, Any]]:
    return [entry.json() for entry in found if entry.fields]


def _refuse_conflicts(others: list[Entry], changed: Fields) -> None:
    found = [(entry, path) for entry in others for path in sorted(entry.fields & changed)]
    if found:
        causes = [Cause("FieldManagerConflict", f"conflict with {_who(entry)}", fieldsets.shown(path)) for entry, path in found]
        raise ApplyConflict(_conflict_message(found), causes)


def _who(entry: Entry) -> str:
    said = f'"{entry.manager.name}"'
    if entry.manager.subresource:
        said += f' with subresource "{entry.manager.subresource}"'
    return said if entry.manager.operation == "Apply" else f"{said} using {entry.manager.api_version}"


def _conflict_message(found: list[tuple[Entry, Path]]) -> str:
    if len(found) == 1:
        return f"Apply failed with 1 conflict: conflict with {_who(found[0][0])}: {fieldsets.shown(found[0][1])}"
    managers: dict[str, list[str]] = {}
    for entry, path in found:
        managers.setdefault(_who(entry), []).append(f"- {fieldsets.shown(path)}")
    lines = [line for who in sorted(managers) for line in (f"conflicts with {who}:", *managers[who])]
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)


def merge(live: Any, config: Any, schema: Schema) -> Any:
    """The live value with the applied one over it; only parts with owners of their own are merged."""
    if isinstance(live, dict) and isinstance(config, dict) and not schema.atomic:
        return live | {key: merge(live.get(key), value, schema.field(key)) for key, value in config.items()}
    if isinstance(live, list) and isinstance(config, list) and (schema.keys or schema.is_set):
        old = {element: item for element, (item, _) in fieldsets.children(live, schema).items()}
        new = {element: item for element, (item, _) in fieldsets.children(config, schema).items()}
        return [
            old[name] if name not in new else merge(old[name], new[name], schema.item) if name in old else copy.deepcopy(new[name])
            for name in _order(list(old), list(new))
        ]
    return copy.deepcopy(config)


def _order(old: list[str], new: list[str]) -> list[str]:
    """Items in the applied order; those that only the live list has stay before the item they stood before."""
    shared = [name for name in new if name in old]
    result: list[str] = []
    left, right = list(old), list(new)
    while left or right:
        if left and right and left[0] == right[0]:
            result.append(left.pop(0))
            right.pop(0)
            shared = shared[1:]
        elif left and right and left[0] in new and shared and shared[0] != left[0]:
            left.pop(0)
        elif left and left[0] not in new:
            result.append(left.pop(0))
        elif right:
            name = right.pop(0)
            result.append(name)
            shared = [other for other in shared if other != name]
        else:
            left.pop(0)
    return result


def record_update(live: dict[str, Any] | None, new: dict[str, Any], schema: Schema, manager: Manager) -> None:
    """Write into `new` who owns it after an update: the manager takes what it changed from whoever owned it."""
    difference = fieldsets.compare(_content(live), _content(new), schema)
    changed, removed = _owned(difference.changed, manager.subresource), _owned(difference.removed, manager.subresource)
    if not changed and not removed:
        new["metadata"]["managedFields"] = _written(entries(live))
        return
    kept = [entry.without(changed).without(removed) for entry in entries(live) if entry.manager != manager]
    mine = next((entry for entry in entries(live) if entry.manager == manager), Entry(manager, frozenset(), now()))
    fields = (mine.fields - removed) | changed
    if fields != mine.fields:
        mine = Entry(manager, fields, now())
    new["metadata"]["managedFields"] = _written([*kept, mine])
