"""DAG files are read all the time and again in each task: none may bring an SDK along. The time itself is in benchmarks/."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = (
    "azure",
    "kubernetes",
    "kubernetes_asyncio",
    "pandas",
    "numpy",
    "pyarrow",
    "onnxruntime",
    "great_expectations",
    "matplotlib",
    "airflow.providers.cncf.kubernetes",
    "airflow.providers.microsoft.azure",
)
PROGRAM = f"""
import runpy, sys
import airflow.sdk
before = set(sys.modules)
runpy.run_path(sys.argv[1])
new = set(sys.modules) - before
print("\\n".join(sorted(name for name in new if name in {HEAVY!r} or name.startswith(tuple(h + "." for h in {HEAVY!r})))))
"""


@pytest.mark.parametrize("file", sorted((ROOT / "dags").glob("*.py")), ids=lambda file: file.stem)
def test_reading_a_dag_file_imports_nothing_heavy(file: Path, tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(file)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not done.stdout.strip(), f"{file.name} imports {done.stdout.split()[:8]}"
