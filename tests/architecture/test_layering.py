"""Imports go one way (docs/architecture.md): who may import whom is a table, and a new package must be entered in it."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("include", "edgeloop")
DOMAIN = {"include.domain"}
WORKLOADS = {"include.domain", "include.workloads"}
ALLOWED: dict[str, set[str]] = {
    "dags": {"edgeloop", "include.domain", "include.assets", "include.settings", "include.workloads"},
    "plugins/edgeloop": {
        "edgeloop",
        "include.domain",
        "include.assets",
        "include.settings",
        "include.workloads",
        "include.border",
        "include.oci",
    },
    "include/domain": DOMAIN,
    "include/workloads": WORKLOADS,
    "include/training": {*WORKLOADS, "include.training"},
    "include/scoring": {*DOMAIN, "include.scoring"},
    "include/oci": {*DOMAIN, "include.oci"},
    "include/rollout": {*DOMAIN, "include.rollout", "include.oci"},
    "include/border": {*DOMAIN, "include.border"},
    "include/standin": {*WORKLOADS, "include.settings", "include.standin", "include.oci", "include.rollout"},
    "include/demo": {*WORKLOADS, "include.settings", "include.standin", "include.demo", "include.border", "include.rollout"},
}
WITHOUT_AIRFLOW = [folder for folder in ALLOWED if folder not in ("dags", "plugins/edgeloop")]


def imports(file: Path) -> set[str]:
    """Full names of the modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide where a module lies"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, f"{folder} has no Python file: the table of this test is out of date"
    return found


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_go_one_way(folder: str) -> None:
    wrong = []
    for file in files(folder):
        for name in imports(file):
            ours = name.split(".")[0] in OURS
            if ours and not any(f"{name}.".startswith(f"{allowed}.") for allowed in ALLOWED[folder]):
                wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", WITHOUT_AIRFLOW)
def test_what_ships_elsewhere_knows_no_airflow(folder: str) -> None:
    wrong = [
        str(file.relative_to(ROOT))
        for file in files(folder)
        for name in imports(file)
        if name.split(".")[0] == "airflow" and not file.is_relative_to(ROOT / "include/demo")
    ]
    assert not wrong, wrong


def test_decisions_use_the_standard_library_only() -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files("include/domain")
        for name in imports(file)
        if name.split(".")[0] not in {*sys.stdlib_module_names, "include"}
    ]
    assert not wrong, wrong


def test_every_package_is_in_the_table() -> None:
    packages = {f"include/{path.parent.name}" for path in (ROOT / "include").glob("*/__init__.py")}
    assert packages <= set(ALLOWED), f"say what {packages - set(ALLOWED)} may import"


def test_nothing_but_demo_and_tests_imports_the_standin() -> None:
    wrong = [
        str(file.relative_to(ROOT))
        for folder in ALLOWED
        if folder not in ("include/standin", "include/demo")
        for file in files(folder)
        if any(name.startswith("include.standin") for name in imports(file))
    ]
    assert not wrong, wrong
