"""The part of Data Factory's expression language that pipelines of this kind use.

https://learn.microsoft.com/azure/data-factory/control-flow-expression-language-functions
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from include.standin.data_factory.exceptions import ExpressionError
from include.standin.data_factory.functions import FUNCTIONS, as_text

TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<mark>[().,\[\]?]))")
DEEPEST = 50
"""Parentheses; deeper is a mistake."""


@dataclass(frozen=True)
class Scope:
    """What names mean where an expression stands."""

    pipeline: Mapping[str, Any] = field(default_factory=dict)
    """Values of `pipeline()`: parameters, RunId, Pipeline, TriggerTime."""
    dataset: Mapping[str, Any] = field(default_factory=dict)
    linked_service: Mapping[str, Any] = field(default_factory=dict)
    activities: Mapping[str, Any] = field(default_factory=dict)
    item: Any = None


def evaluate(value: Any, scope: Scope) -> Any:
    """The value of a property: expressions in it, however deep, are replaced by what they give."""
    if isinstance(value, dict):
        if value.get("type") == "Expression" and "value" in value:
            return evaluate(value["value"], scope)
        return {name: evaluate(inner, scope) for name, inner in value.items()}
    if isinstance(value, list):
        return [evaluate(inner, scope) for inner in value]
    return _text(value, scope) if isinstance(value, str) else value


def _text(text: str, scope: Scope) -> Any:
    if text.startswith("@@"):
        return text[1:]
    if text.startswith("@") and not text.startswith("@{"):
        return _Parser(text[1:], scope).whole()
    return re.sub(r"@\{([^{}]*)\}", lambda found: as_text(_Parser(found[1], scope).whole()), text)


class _Parser:
    """Recursive descent; values are computed on the way."""

    def __init__(self, source: str, scope: Scope) -> None:
        self.source = source
        self.scope = scope
        self.at = 0
        self.depth = 0

    def whole(self) -> Any:
        value = self.term()
        if self.source[self.at :].strip():
            raise self.error(f"unexpected '{self.source[self.at :].strip()}'")
        return value

    def term(self) -> Any:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error("too deeply nested")
        kind, text = self.take()
        if kind == "text":
            value: Any = text[1:-1].replace("''", "'")
        elif kind == "number":
            value = float(text) if "." in text else int(text)
        elif kind == "name":
            value = self.named(text)
        else:
            raise self.error(f"unexpected '{text}'")
        value = self.members(value)
        self.depth -= 1
        return value

    def named(self, name: str) -> Any:
        if name in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[name]
        if self.peek() != "(":
            raise self.error(f"'{name}' is neither a function call nor a value")
        arguments = self.arguments()
        try:
            return self.call(name, arguments)
        except (TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise self.error(f"function '{name}' failed: {error}") from error

    def call(self, name: str, arguments: list[Any]) -> Any:
        scoped: dict[str, Callable[..., Any]] = {
            "pipeline": lambda: self.scope.pipeline,
            "dataset": lambda: self.scope.dataset,
            "linkedservice": lambda: self.scope.linked_service,
            "item": lambda: self.scope.item,
            "activity": lambda activity: self.scope.activities[activity],
        }
        function = scoped.get(name.lower()) or FUNCTIONS.get(name.lower())
        if function is None:
            known = ", ".join(sorted(scoped.keys() | FUNCTIONS.keys()))
            raise self.error(f"the function '{name}' is not known here; known are {known}")
        return function(*arguments)

    def arguments(self) -> list[Any]:
        self.expect("(")
        found: list[Any] = []
        while self.peek() != ")":
            found.append(self.term())
            if self.peek() == ",":
                self.take()
            elif self.peek() != ")":
                raise self.error("',' or ')' is missing")
        self.expect(")")
        return found

    def members(self, value: Any) -> Any:
        while self.peek() in (".", "[", "?"):
            optional = self.peek() == "?"
            if optional:
                self.take()
            mark = self.take()[1]
            key = self.take()[1] if mark == "." else self.term()
            if mark == "[":
                self.expect("]")
            value = self.member(value, key, optional)
        return value

    def member(self, value: Any, key: Any, optional: bool) -> Any:
        try:
            return value[key]
        except (LookupError, TypeError) as error:
            if optional:
                return None
            there = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
            raise self.error(f"property '{key}' doesn't exist, available properties are '{there}'") from error

    def peek(self) -> str | None:
        found = TOKEN.match(self.source, self.at)
        return found[found.lastgroup or 0] if found else None

    def take(self) -> tuple[str, str]:
        found = TOKEN.match(self.source, self.at)
        if not found or not found.lastgroup:
            raise self.error(f"the string character '{self.source[self.at : self.at + 1]}' at position '{self.at}' is not expected")
        self.at = found.end()
        return found.lastgroup, found[found.lastgroup]

    def expect(self, mark: str) -> None:
        if self.peek() != mark:
            raise self.error(f"'{mark}' is missing at position '{self.at}'")
        self.take()

    def error(self, why: str) -> ExpressionError:
        return ExpressionError(self.source, why)
