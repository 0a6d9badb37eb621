"""One training: data of a snapshot in, the files of a candidate out. The same input gives the same bytes of model.onnx."""

import hashlib
import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include import workloads
from include.domain.contract import Anomaly, Contract, Target
from include.domain.snapshot import Snapshot
from include.domain.windows import Window
from include.domain.workload import Workload
from include.training import artefacts
from include.training.data import FALSE_ALARM, LEFT_OUT, Feedback, TrainingError, hold_out, read_partitions, weights
from include.training.tensors import TENSOR, encode, inputs, round_thresholds, to_bytes

FEWEST_ROWS = 1000
"""Rows to train on; fewer make no model."""


@dataclass(frozen=True)
class Task:
    """What the job was asked to do."""

    workload: Workload
    data: Path
    """Folder of the workload's validated partitions."""
    feedback: Path | None
    """Folder of the workload's feedback; None: nobody answered."""
    snapshot: Snapshot
    window: Window
    out: Path


def run(task: Task) -> dict[str, Any]:
    """Train, evaluate on the hold-out, write every file of the candidate; gives metrics.json. TrainingError: the input does not do."""
    workload, code = task.workload, importlib.import_module(f"include.workloads.{task.workload.name}.train")
    frame = read_partitions(task.data, workload, task.snapshot, task.window).dropna(subset=[workload.target])
    labels = Feedback.read(task.feedback, workload, task.snapshot).of(frame, workload.entity)
    held = hold_out(frame, task.window, workload.retraining.holdout_days)
    healthy, weight = code.healthy(frame), weights(labels)
    used = ~held & healthy & (weight > 0)
    if used.sum() < FEWEST_ROWS:
        raise TrainingError(f"only {int(used.sum())} healthy rows before the hold-out in {task.window}: ask for a longer window")
    columns = inputs(workload, frame[used])
    tensor = encode(columns, frame)
    model = code.fit(tensor[used], frame.loc[used, workload.target].to_numpy(dtype=float), weight[used])
    round_thresholds(model)
    frame["prediction"] = model.predict(tensor)
    unseen = frame[held & healthy & (weight > 0)]
    graph = to_bytes(model, len(columns), workload.name)
    unit = workload.column(workload.target).unit
    contract = Contract(
        workload=workload.name,
        snapshot=task.snapshot.digest,
        model_digest="sha256:" + hashlib.sha256(graph).hexdigest(),
        trained_on=str(task.window),
        inputs=columns,
        tensor=TENSOR,
        target=Target(workload.target, unit),
        anomaly=Anomaly(code.threshold((unseen[workload.target] - unseen["prediction"]).to_numpy()), unit),
    )
    curve = code.PowerCurve.fit(frame[used])
    counts = {
        "trained": int(used.sum()),
        "stopped": int((~held & ~healthy).sum()),
        "labelled": int((~held & labels.isin(LEFT_OUT)).sum()),
        "false_alarms": int((~held & (labels == FALSE_ALARM)).sum()),
    }
    return _write(
        task, model, graph, contract, Held(frame[held], healthy[held], curve.predict(frame[held]), curve.name), frame[used], counts
    )


@dataclass(frozen=True)
class Held:
    """The hold-out, and what the baseline says about it."""

    frame: pd.DataFrame
    running: np.ndarray
    """Mask of the rows of machines that were not stopped."""
    baseline: np.ndarray
    baseline_name: str


def _write(
    task: Task, model: Any, graph: bytes, contract: Contract, held: Held, trained: pd.DataFrame, counts: dict[str, int]
) -> dict[str, Any]:
    workload, names = task.workload, [column.name for column in contract.inputs]
    found = artefacts.metrics(workload, held.frame, held.running, held.baseline, held.baseline_name)
    found["training"] = counts
    task.out.mkdir(parents=True, exist_ok=True)
    (task.out / "model.onnx").write_bytes(graph)
    (task.out / "contract.json").write_text(contract.to_json(), encoding="utf-8")
    (task.out / "model_card.md").write_text(artefacts.card(workload, contract, found, counts), encoding="utf-8")
    _write_json(task.out / "profile.json", artefacts.profile(contract.inputs, trained))
    _write_table(task.out / "golden.parquet", artefacts.golden(model, contract, held.frame))
    _write_table(task.out / "holdout.parquet", held.frame[[*names, "site", "time", workload.target, "prediction"]])
    _write_json(task.out / "metrics.json", found)
    return found


def _write_json(path: Path, said: dict[str, Any]) -> None:
    path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def _write_table(path: Path, frame: pd.DataFrame) -> None:
    frame.to_parquet(path, index=False, compression="zstd")


def load(name: str) -> Workload:
    """The workload; TrainingError when there is none of that name."""
    try:
        return workloads.load(name)
    except FileNotFoundError:
        raise TrainingError(f"there is no workload {name!r}: include/workloads/{name}/workload.yaml is missing") from None
