"""The rows and figures that leave the training job beside the model: golden rows, metrics, profile, model card."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from include.domain.contract import Contract, Input
from include.domain.workload import Workload
from include.training.tensors import encode, thresholds

SAMPLES = 200
BOUNDARIES = 60
NARROW = 0.1
"""Target units beside the anomaly threshold, where a golden row's label flips if ONNX and native model differ by as much."""
SLICES = ("site",)
"""Beside the workload's entity."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 20


def rmse(residual: np.ndarray) -> float:
    """Root mean square, rounded to what a reader can use."""
    return round(float(np.sqrt(np.mean(np.square(residual)))), 3)


def metrics(workload: Workload, held: pd.DataFrame, running: np.ndarray, baseline: np.ndarray, baseline_name: str) -> dict[str, Any]:
    """metrics.json of the hold-out (columns: target, `prediction`, `site`, `time`, the entity); every row counts, stopped machines too.

    `running` masks the rows of machines that were not stopped: beside the others they show what the model is for.
    """
    measured = held[workload.target].to_numpy(dtype=float)
    residual, beside = measured - held["prediction"].to_numpy(), measured - baseline
    spread = float(np.sum((measured - measured.mean()) ** 2))
    return {
        "holdout": {"first": f"{held['time'].min():%Y-%m-%d}", "last": f"{held['time'].max():%Y-%m-%d}", "rows": len(held)},
        "unit": workload.column(workload.target).unit,
        "rmse": rmse(residual),
        "mae": round(float(np.mean(np.abs(residual))), 3),
        "bias": round(float(np.mean(residual)), 3),
        "r2": round(1 - float(np.sum(residual**2)) / spread, 5) if spread else None,
        "baseline": {"name": baseline_name, "rmse": rmse(beside)},
        "running": {"rows": int(running.sum()), "rmse": rmse(residual[running]), "baseline_rmse": rmse(beside[running])},
        "slices": {name: _slices(held[name], residual, beside) for name in (*SLICES, workload.entity)},
    }


def _slices(of: "pd.Series[str]", residual: np.ndarray, beside: np.ndarray) -> dict[str, dict[str, float]]:
    masks = {str(value): (of == value).to_numpy() for value in sorted(of.dropna().unique())}
    return {
        value: {"rows": int(mask.sum()), "rmse": rmse(residual[mask]), "baseline_rmse": rmse(beside[mask])} for value, mask in masks.items()
    }


def golden(model: Any, contract: Contract, held: pd.DataFrame) -> pd.DataFrame:
    """Golden rows: the inputs, `expected` of the native model, `kind`, and a measurement that makes the row's label easy to flip.

    `sample`: drawn from the hold-out; `boundary`: a number at a threshold of the trees, or one float32 step above it; `missing`: one
    optional input, then all, not given.
    """
    names = [column.name for column in contract.inputs]
    rows = held[names].drop_duplicates()
    rows = rows.sample(min(SAMPLES, len(rows)), random_state=0).sort_index()
    parts = [rows.assign(kind="sample"), _boundaries(model, contract.inputs, rows), _missing(contract.inputs, rows)]
    found = pd.concat([part for part in parts if len(part)], ignore_index=True)
    numbers = [column.name for column in contract.inputs if column.type == "number"]
    found[numbers] = found[numbers].astype(np.float32).astype(np.float64)  # what the tensor holds: no reader rounds differently
    found["expected"] = model.predict(encode(contract.inputs, found))
    side = np.where(np.arange(len(found)) % 2 == 0, -NARROW, NARROW)
    found[contract.target.name] = found["expected"] + contract.anomaly.below + side
    return found[[*names, "expected", contract.target.name, "kind"]]


def _boundaries(model: Any, inputs: Sequence[Input], rows: pd.DataFrame) -> pd.DataFrame:
    parts = []
    numbers = [(place, column) for place, column in enumerate(inputs) if column.type == "number"]
    for place, column in numbers:
        values = thresholds(model, place)
        low, high = column.minimum, column.maximum
        values = values[(values > (-np.inf if low is None else low)) & (values < (np.inf if high is None else high))]
        chosen = values[np.unique(np.linspace(0, len(values) - 1, BOUNDARIES // len(numbers) // 2).astype(int))] if len(values) else values
        both = np.concatenate([chosen, np.nextafter(chosen, np.float32(np.inf))])
        base = rows.iloc[np.arange(len(both)) % len(rows)]
        part = base.assign(kind="boundary")
        part[column.name] = both.astype(float)
        parts.append(part)
    return pd.concat(parts)


def _missing(inputs: Sequence[Input], rows: pd.DataFrame) -> pd.DataFrame:
    optional = [column.name for column in inputs if not column.required and column.type == "number"]
    few = rows.head(10).assign(kind="missing")
    parts = []
    for names in [[name] for name in optional] + [optional] * (len(optional) > 1):
        part = few.copy()
        part[names] = np.nan
        parts.append(part)
    return pd.concat(parts) if parts else few.head(0)


def profile(inputs: Sequence[Input], frame: pd.DataFrame) -> dict[str, Any]:
    """profile.json, the reference for drift: for each input the share of missing values, and its histogram or its categories."""
    return {"rows": len(frame), "inputs": {column.name: _profile(column, frame[column.name]) for column in inputs}}


def _profile(column: Input, values: "pd.Series[Any]") -> dict[str, Any]:
    missing = round(float(values.isna().mean()), 6)
    there = values.dropna()
    if column.type == "category":
        return {"type": "category", "missing_share": missing, "counts": {value: int((there == value).sum()) for value in column.values}}
    counts, edges = np.histogram(there, bins=BINS)
    return {
        "type": "number",
        "unit": column.unit,
        "missing_share": missing,
        "edges": [round(float(edge), 4) for edge in edges],
        "counts": [int(count) for count in counts],
        "quantiles": {str(share): round(float(there.quantile(share)), 4) for share in QUANTILES},
        "mean": round(float(there.mean()), 4),
        "deviation": round(float(there.std()), 4),
    }


def card(workload: Workload, contract: Contract, found: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    """model_card.md: what the model is for, what it saw, and by how much it beats the baseline, overall and for each slice."""
    unit = contract.target.unit or ""
    base, held = found["baseline"], found["holdout"]
    lines = [
        f"# {workload.title}",
        "",
        f"Predicts `{contract.target.name}` ({unit}) of a healthy machine. A residual (measured - expected) below "
        f"{contract.anomaly.below} {unit} is reported as an anomaly: a reason to look, not a diagnosis.",
        "",
        f"- Data: {contract.trained_on}, snapshot `{contract.snapshot}`",
        f"- Trained on {counts['trained']} rows; left out: {counts['stopped']} of machines that were stopped, {counts['labelled']} that "
        f"people labelled as anomaly or maintenance; {counts['false_alarms']} that people called false alarms weigh more",
        f"- Hold-out: {held['first']} to {held['last']}, {held['rows']} rows, never seen in training; all count, also where a machine "
        "was stopped or a sensor failed, which no model foresees",
        f"- Model: `{contract.model_digest}`",
        "",
        f"| hold-out | rows | RMSE ({unit}) | {base['name']} ({unit}) | better by |",
        "|---|---|---|---|---|",
        _line("all", held["rows"], found["rmse"], base["rmse"]),
    ]
    running = found["running"]
    lines.append(_line("all but stopped machines", running["rows"], running["rmse"], running["baseline_rmse"]))
    for slice_name, values in found["slices"].items():
        lines += [_line(f"{slice_name} {value}", said["rows"], said["rmse"], said["baseline_rmse"]) for value, said in values.items()]
    lines += ["", f"Mean error {found['bias']} {unit}, mean absolute error {found['mae']} {unit}, R2 {found['r2']}.", ""]
    lines += ["## Inputs", "", "| name | unit | range | required |", "|---|---|---|---|"]
    lines += [
        f"| {i.name} | {i.unit or '-'} | {', '.join(i.values) or f'{i.minimum} to {i.maximum}'} | {'yes' if i.required else 'no'} |"
        for i in contract.inputs
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, rows: int, model: float, baseline: float) -> str:
    share = f"{baseline - model:+.2f} ({100 * (1 - model / baseline):+.1f} %)" if baseline else "-"
    return f"| {name} | {rows} | {model:.2f} | {baseline:.2f} | {share} |"
