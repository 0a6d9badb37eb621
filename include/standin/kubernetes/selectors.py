"""Label and field selectors, as list and watch take them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from include.standin.kubernetes.exceptions import BadRequest

Labels = Mapping[str, str]
Test = Callable[[Labels], bool]
KEY = r"[A-Za-z0-9]([\w./-]*[A-Za-z0-9])?"


def labels(text: str) -> Test:
    """`a=1,b!=2,c in (x, y),d notin (z),e,!f`; BadRequest for what is no selector."""
    tests = [_label_test(part.strip()) for part in re.split(r",(?![^(]*\))", text) if part.strip()]
    return lambda found: all(test(found) for test in tests)


def _label_test(part: str) -> Test:
    if match := re.fullmatch(rf"({KEY})\s+(in|notin)\s+\((.*)\)", part):
        key, wanted = match[1], {value.strip() for value in match[4].split(",")}
        return (lambda found: found.get(key) in wanted) if match[3] == "in" else (lambda found: found.get(key) not in wanted)
    if match := re.fullmatch(rf"({KEY})\s*(!=|==?)\s*([\w.-]*)", part):
        key, value, equal = match[1], match[4], match[3] != "!="
        return lambda found: (found.get(key) == value) is equal
    if match := re.fullmatch(rf"(!?)\s*({KEY})", part):
        key, there = match[2], not match[1]
        return lambda found: (key in found) is there
    raise BadRequest(f"unable to parse requirement: {part!r} is no label selector")


def selects(selector: Mapping[str, Any] | None, found: Labels) -> bool:
    """Whether a `LabelSelector` object (matchLabels, matchExpressions) selects the labels; an empty one selects all."""
    said = selector or {}
    if any(found.get(key) != value for key, value in (said.get("matchLabels") or {}).items()):
        return False
    return all(_expression(rule, found) for rule in said.get("matchExpressions") or ())


def _expression(rule: Mapping[str, Any], found: Labels) -> bool:
    key, values = rule["key"], rule.get("values") or ()
    return {
        "In": found.get(key) in values,
        "NotIn": found.get(key) not in values,
        "Exists": key in found,
        "DoesNotExist": key not in found,
    }[rule["operator"]]


def lookup(value: Any, path: str) -> Any:
    """The value at a dotted path, or None."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def fields(text: str) -> Callable[[dict[str, Any]], bool]:
    """`metadata.name=a,status.phase!=Running`; BadRequest for what is no selector. More fields are known than to the real server."""
    tests = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"([\w.]+)(!=|==?)(.*)", part.strip())
        if not match:
            raise BadRequest(f"invalid field selector {part!r}: it is <field>=<value> or <field>!=<value>")
        tests.append((match[1], match[2] != "!=", match[3]))
    return lambda found: all((str(_field(found, path)) == value) is equal for path, equal, value in tests)


def _field(found: dict[str, Any], path: str) -> Any:
    value = lookup(found, path)
    return "" if value is None else value


def named(text: str) -> str:
    """The one name that a field selector asks for, or an empty text: authorization may hang on it."""
    match = re.search(r"(?:^|,)metadata\.name==?([^,]+)", text)
    return match[1] if match else ""
