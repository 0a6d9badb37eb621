"""Patches that name no owner: JSON merge patch (RFC 7386), JSON patch (RFC 6902), strategic merge patch."""

import copy
from typing import Any

from include.standin.kubernetes.exceptions import ApiError, BadRequest
from include.standin.kubernetes.schema import Schema


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, maps are merged, all else is replaced."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902. Raises BadRequest for a patch that is none, ApiError 422 for one that does not fit the object."""
    if not isinstance(operations, list) or not all(isinstance(step, dict) and "op" in step and "path" in step for step in operations):
        raise BadRequest("error decoding patch: a JSON patch is an array of operations with op and path")
    document = copy.deepcopy(target)
    for step in operations:
        try:
            document = _step(document, step)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {}) from error
    return document


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _find(document: Any, parts: list[str]) -> Any:
    for part in parts:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _step(document: Any, step: dict[str, Any]) -> Any:
    operation, parts = step["op"], _pointer(step["path"])
    if operation in ("move", "copy"):
        value = copy.deepcopy(_find(document, _pointer(step["from"])))
        document = _step(document, {"op": "remove", "path": step["from"]}) if operation == "move" else document
        return _step(document, {"op": "add", "path": step["path"], "value": value})
    if operation == "test":
        if _find(document, parts) != step.get("value"):
            raise ValueError(f"testing value {step['path']} failed")
        return document
    if not parts:
        return step["value"]
    _change(_find(document, parts[:-1]), parts[-1], operation, step)
    return document


def _change(holder: Any, last: str, operation: str, step: dict[str, Any]) -> None:
    if operation not in ("add", "replace", "remove"):
        raise ValueError(f"unexpected kind: {operation}")
    if isinstance(holder, list):
        at = len(holder) if last == "-" and operation == "add" else int(last)
        if operation == "add":
            holder.insert(at, step["value"])
        elif operation == "replace":
            holder[at] = step["value"]
        else:
            holder.pop(at)
        return
    if operation != "add" and last not in holder:
        raise KeyError(f"{operation} operation does not apply: doc is missing key: {step['path']}: missing value")
    if operation == "remove":
        holder.pop(last)
    else:
        holder[last] = step["value"]


def strategic(target: Any, patch: Any, schema: Schema) -> Any:
    """Lists that have a merge key are merged by it; `$patch`, `$deleteFromPrimitiveList` and `$retainKeys` are obeyed."""
    if isinstance(patch, dict):
        return _strategic_map(target, patch, schema)
    if isinstance(patch, list) and isinstance(target, list) and "merge" in schema.strategy:
        if schema.merge_key:
            return _strategic_list(target, patch, schema)
        return target + [item for item in patch if item not in target]
    if isinstance(patch, list):
        return [strategic(None, item, schema.item) for item in patch if not (isinstance(item, dict) and "$patch" in item)]
    return copy.deepcopy(patch)


def _strategic_map(target: Any, patch: dict[str, Any], schema: Schema) -> dict[str, Any]:
    directive = patch.get("$patch")
    result = dict(target) if isinstance(target, dict) and directive != "replace" else {}
    if directive == "delete":
        return {}
    if "$retainKeys" in patch:
        result = {key: value for key, value in result.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [item for item in result.get(name) or () if item not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = strategic(result.get(key), value, schema.field(key))
    return result


def _strategic_list(target: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    """Items of the patch that are new come first, as the real server orders them."""
    key = schema.merge_key
    items = [item for item in patch if item.get("$patch") not in ("delete", "replace")]
    gone = {item.get(key) for item in patch if item.get("$patch") == "delete"}
    if any(item.get("$patch") == "replace" for item in patch):
        return [copy.deepcopy(item) for item in items]
    named = {item.get(key): item for item in items}
    known = {item.get(key) for item in target}
    kept = [strategic(item, named[item.get(key)], schema.item) if item.get(key) in named else item for item in target]
    added = [strategic(None, item, schema.item) for item in items if item.get(key) not in known]
    return [item for item in added + kept if item.get(key) not in gone]
