"""What is known of types: the OpenAPI documents that a real server publishes, reduced to structure."""

import gzip
import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from include.standin.kubernetes.kinds import Kind

FOLDER = Path(__file__).parent / "openapi"


@cache
def document(path: str) -> dict[str, Any]:
    """The OpenAPI v3 document of `api/v1` or `apis/<group>/<version>`; FileNotFoundError where none is kept."""
    return json.loads(gzip.decompress((FOLDER / f"{path.replace('/', '_')}.json.gz").read_bytes()))


@cache
def _names(path: str) -> dict[tuple[str, str, str], str]:
    """(group, version, kind) -> name of the schema."""
    found = {}
    for name, node in document(path)["components"]["schemas"].items():
        for gvk in node.get("x-kubernetes-group-version-kind", ()):
            found[gvk["group"], gvk["version"], gvk["kind"]] = name
    return found


@dataclass(frozen=True)
class Schema:
    """A node of a document, references resolved. An unknown node has no structure: its maps are open, its lists atomic."""

    path: str
    node: dict[str, Any]

    @classmethod
    def of(cls, kind: Kind) -> "Schema":
        """The schema of a kind."""
        return _of(kind)

    @cached_property
    def properties(self) -> dict[str, Any]:
        """Fields that are declared; empty for open maps and scalars."""
        return self.node.get("properties", {})

    @cached_property
    def type(self) -> str:
        """OpenAPI's type, empty where a value can be of several (`int-or-string`, `any`)."""
        return "" if "oneOf" in self.node else self.node.get("type", "")

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Fields that name an item of this list; empty where the list is no map."""
        return tuple(self.node.get("x-kubernetes-list-map-keys", ())) if self.node.get("x-kubernetes-list-type") == "map" else ()

    @property
    def is_set(self) -> bool:
        """A list of values, each there once."""
        return self.node.get("x-kubernetes-list-type") == "set"

    @property
    def atomic(self) -> bool:
        """A map that has one owner as a whole."""
        return self.node.get("x-kubernetes-map-type") == "atomic"

    @property
    def always(self) -> bool:
        """A structure that whatever holds it has, be it empty (in Go: no pointer)."""
        return bool(self.properties) and self.default == {} and not self.atomic

    @property
    def strategy(self) -> tuple[str, ...]:
        """How a strategic merge patch treats it: `merge`, `replace`, `retainKeys`."""
        return tuple(self.node.get("x-kubernetes-patch-strategy", "").split(","))

    @property
    def merge_key(self) -> str:
        """The field that names an item in a strategic merge patch."""
        return self.node.get("x-kubernetes-patch-merge-key", "") if "merge" in self.strategy else ""

    @property
    def default(self) -> Any:
        """The default that is published; None where there is none."""
        return self.node.get("default")

    def field(self, name: str) -> "Schema":
        """The schema of a field, or of a value of an open map."""
        extra = self.node.get("additionalProperties")
        node = self.properties.get(name) or (extra if isinstance(extra, dict) else {})
        return Schema(self.path, _resolve(self.path, node))

    @cached_property
    def item(self) -> "Schema":
        """The schema of a list's items."""
        return Schema(self.path, _resolve(self.path, self.node.get("items", {})))

    @property
    def preserves_unknown(self) -> bool:
        """Any field is allowed below."""
        return not self.properties or bool(self.node.get("x-kubernetes-preserve-unknown-fields"))


@cache
def _of(kind: Kind) -> Schema:
    schemas = document(kind.document)["components"]["schemas"]
    return Schema(kind.document, schemas[_names(kind.document)[kind.group, kind.version, kind.kind]])


def _resolve(path: str, node: dict[str, Any]) -> dict[str, Any]:
    """The node with `allOf` and `$ref` followed; what stands beside a reference wins."""
    beside = {key: value for key, value in node.items() if key not in ("allOf", "$ref")}
    for part in node.get("allOf", ()):
        beside = _resolve(path, part) | beside
    if "$ref" in node:
        beside = _resolve(path, document(path)["components"]["schemas"][node["$ref"].rsplit("/", 1)[1]]) | beside
    return beside
