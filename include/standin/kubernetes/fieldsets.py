"""Sets of fields: who owns what is told, compared and removed by them (structured-merge-diff's `fieldpath`).

A path is a tuple of elements as `FieldsV1` writes them: `f:<field>`, `k:<keys as JSON>` (an item of a list that is a map),
`v:<value as JSON>` (an item of a list that is a set). A set is a set of paths.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from include.standin.kubernetes.schema import Schema

Path = tuple[str, ...]
Fields = frozenset[Path]


def element(schema: Schema, item: Any) -> str:
    """The element that names an item of the list; a key that is left out has its published default."""
    if not schema.keys:
        return "v:" + json.dumps(item, separators=(",", ":"))
    named = {key: item.get(key, schema.item.field(key).default) for key in sorted(schema.keys)}
    return "k:" + json.dumps({key: value for key, value in named.items() if value is not None}, separators=(",", ":"))


def children(value: Any, schema: Schema) -> dict[str, tuple[Any, Schema]]:
    """What lies below a value that has parts with owners of their own; empty for scalars and atomic values."""
    if isinstance(value, dict) and not schema.atomic:
        return {f"f:{key}": (part, schema.field(key)) for key, part in value.items()}
    if isinstance(value, list) and (schema.keys or schema.is_set):
        return {element(schema, item): (item, schema.item) for item in value}
    return {}


def field_set(value: Any, schema: Schema) -> Fields:
    """The fields that an applied object names: its leaves, and its list items themselves."""
    return frozenset(_fields(value, schema, ()))


def _fields(value: Any, schema: Schema, at: Path) -> Iterator[Path]:
    below = children(value, schema)
    if at and (not below or at[-1][0] != "f"):
        yield at
    for name, (part, part_schema) in below.items():
        yield from _fields(part, part_schema, (*at, name))


@dataclass(frozen=True)
class Comparison:
    """How one object differs from another."""

    added: Fields
    modified: Fields
    removed: Fields

    @property
    def changed(self) -> Fields:
        """Fields that are new or have another value."""
        return self.added | self.modified


MISSING = object()


def compare(before: Any, after: Any, schema: Schema) -> Comparison:
    """Fields added, modified and removed; a part that is new as a whole counts itself, unless it is always there, and all below."""
    found: dict[str, set[Path]] = {"added": set(), "modified": set(), "removed": set()}
    _compare(before, after, schema, (), found)
    return Comparison(frozenset(found["added"]), frozenset(found["modified"]), frozenset(found["removed"]))


def _compare(before: Any, after: Any, schema: Schema, at: Path, found: dict[str, set[Path]]) -> None:
    old = {} if before is MISSING else children(before, schema)
    new = {} if after is MISSING else children(after, schema)
    for name in {**old, **new}:
        part_schema = (old.get(name) or new[name])[1]
        _compare(_part(before, old, name, part_schema), _part(after, new, name, part_schema), part_schema, (*at, name), found)
    if not at:
        return
    if before is MISSING:
        found["added"].add(at)
    elif after is MISSING:
        found["removed"].add(at)
    elif not old and not new and before != after:
        found["modified"].add(at)


def _part(whole: Any, parts: dict[str, tuple[Any, Schema]], name: str, schema: Schema) -> Any:
    if name in parts:
        return parts[name][0]
    return {} if schema.always and whole is not MISSING and name.startswith("f:") else MISSING


def parents(fields: Iterable[Path]) -> Fields:
    """The set with the named fields on the way to its members (`EnsureNamedFieldsAreMembers`)."""
    found = set(fields)
    for path in fields:
        found.update(path[:length] for length in range(1, len(path)) if path[length - 1].startswith("f:"))
    return frozenset(found)


def to_fields_v1(fields: Iterable[Path]) -> dict[str, Any]:
    """As `managedFields[].fieldsV1` stores the set."""
    tree: dict[str, Any] = {}
    members = frozenset(fields)
    for path in sorted(members):
        node = tree
        for part in path:
            node = node.setdefault(part, {})
    for path in members:
        node = tree
        for part in path:
            node = node[part]
        if node:
            node["."] = {}
    return tree


def from_fields_v1(tree: dict[str, Any]) -> Fields:
    """The set that is stored."""
    return frozenset(_stored(tree, ()))


def _stored(tree: dict[str, Any], at: Path) -> Iterator[Path]:
    for name, below in tree.items():
        if name == ".":
            yield at
        elif below:
            yield from _stored(below, (*at, name))
        else:
            yield (*at, name)


def remove(value: Any, schema: Schema, paths: Fields) -> Any:
    """The value without what the paths name; a container goes with all that is in it."""
    below = children(value, schema)
    kept = {}
    for name, (part, part_schema) in below.items():
        inner = frozenset(path[1:] for path in paths if path[0] == name)
        if () in inner:
            continue
        kept[name] = remove(part, part_schema, inner) if inner else part
    if not below:
        return value
    return {name[2:]: part for name, part in kept.items()} if isinstance(value, dict) else list(kept.values())


def shown(path: Path) -> str:
    """The path as messages write it: `.spec.containers[name="c"].image`."""
    return "".join(_shown(part) for part in path)


def _shown(part: str) -> str:
    if part.startswith("f:"):
        return f".{part[2:]}"
    if part.startswith("v:"):
        return f"[={part[2:]}]"
    return "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(part[2:]).items()) + "]"
