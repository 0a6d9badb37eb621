"""A new use case is a folder: no Python of dags/ changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = """
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder="dags")
assert not bag.import_errors, bag.import_errors
print(" ".join(sorted(bag.dags)))
"""


def test_a_folder_yields_its_dags(tmp_path: Path) -> None:
    skip = shutil.ignore_patterns("__pycache__", "sample", "standin", "demo")
    for folder in ("dags", "include", "plugins", "helm-values"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=skip)
    shutil.copytree(tmp_path / "include/workloads/wind_power", tmp_path / "include/workloads/grid_load")
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow"), "PYTHONPATH": f"{tmp_path}:{tmp_path / 'plugins'}"}
    done = subprocess.run([sys.executable, "-c", LIST], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    found = done.stdout.strip().splitlines()[-1].split()
    assert {name.partition(".")[0] for name in found} == {"wind_power", "grid_load"}
    assert len([name for name in found if name.startswith("grid_load.")]) == len([*(ROOT / "dags").glob("*.py")])
