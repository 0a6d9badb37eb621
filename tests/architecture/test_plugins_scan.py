"""Airflow executes files of plugins/ under their bare stem; `.airflowignore` must keep it from ours."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCAN = """
import sys
from airflow.plugins_manager import _get_plugins
_get_plugins()
import kubernetes
print(kubernetes.__file__)
print(sorted(n for n, m in sys.modules.items() if "." not in n and "/plugins/edgeloop/" in (getattr(m, "__file__", None) or "")))
"""


def test_the_scan_of_plugins_leaves_modules_alone(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}",
    }
    done = subprocess.run([sys.executable, "-c", SCAN], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    where, scanned = done.stdout.strip().splitlines()[-2:]
    assert "site-packages" in where, f"`import kubernetes` gives {where}"
    assert scanned in ("[]", "['edgeloop']"), f"loaded under their bare stem: {scanned}"
