"""CEL, the language of admission policies: each expression is compiled once."""

import sys
from functools import lru_cache
from types import ModuleType
from typing import Any

# The package imports its command line, which takes more time and memory than all else that this program imports.
sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

import cel  # noqa: E402


@lru_cache(maxsize=256)
def program(expression: str) -> Any:
    """The expression, to be executed on names; ValueError when it is none."""
    return cel.compile(expression)
