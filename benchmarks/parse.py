"""What reading a DAG file costs above Airflow's own SDK: CPU milliseconds, median of fresh processes.

The SDK is lazy: the names that DAG files take from it are imported before the clock starts.
"""

import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.report import Row

ROOT = Path(__file__).parents[1]
ROUNDS = 5
PROGRAM = """
import sys, time, runpy
start = time.process_time()
from airflow.sdk import DAG, Asset, AssetAny, AssetOrTimeSchedule, AssetWatcher, BaseHook, BaseOperator, CronPartitionTimetable
from airflow.sdk import CronTriggerTimetable, Param, PartitionedAssetTimetable, TaskGroup, TriggerRule, chain, task, task_group
sdk = time.process_time()
runpy.run_path(sys.argv[1])
print((sdk - start) * 1000, (time.process_time() - sdk) * 1000)
"""


def measure() -> list[Row]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", "AIRFLOW_HOME": "/nonexistent"}
    rows = []
    for file in sorted((ROOT / "dags").glob("*.py")):
        runs = []
        for _ in range(ROUNDS):
            done = subprocess.run([sys.executable, "-c", PROGRAM, str(file)], env=environment, capture_output=True, text=True, check=True)
            runs.append([float(number) for number in done.stdout.split()[-2:]])
        sdk, dag = (statistics.median(column) for column in zip(*runs, strict=True))
        rows.append(Row(f"dags/{file.name}", dag, "import airflow.sdk", sdk, "ms CPU"))
    return rows
