"""SIGKILL before and after every call that a drain makes: nothing is lost, nothing is stored twice."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def test_a_drain_may_be_killed_anywhere(site: Any, tmp_path: Path) -> None:
    (tmp_path / "conftest_of_border.py").write_bytes((HERE / "conftest.py").read_bytes())
    lake, account = sorted(site.accounts, key=lambda name: name != "edgeloopcloud")
    said = {
        "workload": site.workload[:8],
        "queue_url": site.queue_url,
        "blob_url": site.blob_url,
        "accounts": site.accounts,
        "site_account": account,
        "lake_account": lake,
        "ca": site.ca,
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    done = subprocess.run(
        [sys.executable, str(HERE / "crash.py")],
        input=json.dumps(said),
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(result["killed"] for result in results) >= 14, "the drain makes at least seven calls"
    for result in results:
        assert {**result, "killed": ...} == {
            "case": result["case"],
            "killed": ...,
            "left": 0,
            "stored": True,
            "refused": 1,
            "poisoned": True,
        }
