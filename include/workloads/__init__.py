"""The use cases: a folder each. `load` reads their workload.yaml, the only file that a DAG file looks at."""

from functools import cache
from pathlib import Path

import yaml

from include.domain.workload import Workload

ROOT = Path(__file__).parent


@cache
def load_all() -> tuple[Workload, ...]:
    """Every workload, by name."""
    return tuple(load(path.parent.name) for path in sorted(ROOT.glob("*/workload.yaml")))


@cache
def load(name: str) -> Workload:
    """One workload; FileNotFoundError when there is no such folder."""
    with (ROOT / name / "workload.yaml").open(encoding="utf-8") as file:
        return Workload.read(name, yaml.safe_load(file))


def folder(name: str) -> Path:
    """Where the workload's files lie."""
    return ROOT / name
