"""The Azure ML command: `python -m include.training --workload … --data … --manifest … --window … --out …`.

Exit code 0: every file of the candidate lies in `--out`; 2: the input does not do, the last line says why.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

log = logging.getLogger("edgeloop.training")


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """What the job was started with."""
    parser = argparse.ArgumentParser(prog="python -m include.training", description="Train one candidate on one snapshot.")
    parser.add_argument("--workload", required=True)
    parser.add_argument("--data", required=True, type=Path, help="folder of the workload's validated partitions")
    parser.add_argument("--feedback", type=Path, default=None, help="folder with Parquet files of people's answers")
    parser.add_argument("--manifest", required=True, type=Path, help="JSON of the snapshot")
    parser.add_argument("--window", required=True, help="<first day>..<last day>")
    parser.add_argument("--out", required=True, type=Path, help="folder that takes the candidate's files")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Run the job; gives the exit code."""
    from include.domain.snapshot import Snapshot
    from include.domain.windows import Window, WindowError
    from include.training.data import TrainingError
    from include.training.run import Task, load, run

    said = arguments(given)
    try:
        snapshot = Snapshot.from_json(said.manifest.read_text(encoding="utf-8"))
        task = Task(load(said.workload), said.data, said.feedback, snapshot, Window.parse(said.window), said.out)
        found = run(task)
    except (TrainingError, WindowError, FileNotFoundError) as error:
        log.error("%s", error)
        return 2
    log.info("%s rows, RMSE %s on the hold-out, %s of the baseline", found["holdout"]["rows"], found["rmse"], found["baseline"]["rmse"])
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    sys.exit(main())
