"""What kubectl applied on the client's side: its server-side apply may take that over (Kubernetes: `lastappliedmanager.go`)."""

import json
from typing import Any

from include.standin.kubernetes import fieldsets
from include.standin.kubernetes.fieldsets import Fields
from include.standin.kubernetes.schema import Schema

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
HEIR = "kubectl"
"""The only manager that inherits."""


def inherited(live: dict[str, Any] | None, manager: str, schema: Schema) -> Fields:
    """Fields that are still as kubectl applied them: no conflict for its server-side apply, whoever owns them."""
    text = ((live or {}).get("metadata", {}).get("annotations") or {}).get(ANNOTATION)
    if manager != HEIR or not text:
        return frozenset()
    try:
        applied = _own(json.loads(text))
    except (ValueError, AttributeError):
        return frozenset()
    difference = fieldsets.compare(applied, _own(live or {}), schema)
    return fieldsets.field_set(applied, schema) - difference.changed - difference.removed


def _own(value: dict[str, Any]) -> dict[str, Any]:
    """The fields that a person writes."""
    meta = {key: part for key, part in (value.get("metadata") or {}).items() if key in ("labels", "annotations")}
    return {key: part for key, part in value.items() if key not in ("apiVersion", "kind", "status")} | {"metadata": meta}
