"""The training data: exactly the partitions that the snapshot names, and what people said about their rows."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.domain import naming
from include.domain.snapshot import Part, Snapshot
from include.domain.windows import Window
from include.domain.workload import Workload

LEFT_OUT = ("confirmed", "maintenance")
"""Labels of rows that show no healthy machine."""
FALSE_ALARM = "false_alarm"
FALSE_ALARM_WEIGHT = 5.0
"""A row that people call healthy against the model counts so many times."""


class TrainingError(ValueError):
    """The job cannot run on this input; the message says what to do."""


def read_partitions(data: Path, workload: Workload, snapshot: Snapshot, window: Window) -> pd.DataFrame:
    """The validated rows of the snapshot, with a column `site`; sorted, so that the order of files does not matter.

    `data` is the folder of the workload's `validated` stage. TrainingError: a file is missing or is not the one that the snapshot names.
    """
    prefix = f"{workload.name}/validated/"
    parts = [part for part in snapshot.parts if part.blob.startswith(prefix)]
    if not parts:
        raise TrainingError(f"the snapshot of {workload.name} in {window} names no validated partition: validate the window first")
    names = [column.name for column in workload.columns]
    frame = pa.concat_tables([_partition(data, prefix, part, names, window) for part in parts], promote_options="permissive").to_pandas()
    return frame.sort_values(["site", workload.entity, "time"], kind="stable", ignore_index=True)


def _partition(data: Path, prefix: str, part: Part, names: list[str], window: Window) -> pa.Table:
    site, day = naming.partition_of(part.blob)
    if day not in window:
        raise TrainingError(f"{part.blob} is not of the window {window}: the manifest belongs to another snapshot")
    table = pq.ParquetFile(pa.BufferReader(_content(data, prefix, part))).read(columns=names)
    return table.append_column("site", pa.array([site] * table.num_rows, pa.string()))


def _content(folder: Path, prefix: str, part: Part) -> bytes:
    """Bytes of a part, which lies in the folder that stands for the prefix; exactly those that the snapshot names."""
    try:
        content = (folder / part.blob.removeprefix(prefix)).read_bytes()
    except FileNotFoundError:
        raise TrainingError(
            f"{part.blob} is in the snapshot, but not in {folder}: validate its day again and take a new snapshot"
        ) from None
    found = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    if found != part.content_hash:
        raise TrainingError(
            f"{part.blob} has changed since the snapshot was taken (MD5 {found}, not {part.content_hash}): take a new snapshot"
        )
    return content


@dataclass(frozen=True)
class Feedback:
    """What people said: labels by machine and time. Each count is of answers, not of rows."""

    labels: dict[tuple[str, pd.Timestamp], str]

    @classmethod
    def read(cls, folder: Path | None, workload: Workload, snapshot: Snapshot) -> "Feedback":
        """From the files of the workload's `feedback` stage that the snapshot names (columns: the entity, `time`, `label`).

        A later answer about the same row wins over an earlier one, by the name of its file. TrainingError as `read_partitions`.
        """
        prefix, entity = f"{workload.name}/feedback/", workload.entity
        parts = [part for part in snapshot.parts if part.blob.startswith(prefix)]
        if parts and folder is None:
            raise TrainingError(f"the snapshot names {len(parts)} files of feedback: start the job with --feedback")
        labels: dict[tuple[str, pd.Timestamp], str] = {}
        for part in parts:
            table = pq.ParquetFile(pa.BufferReader(_content(folder or Path(), prefix, part))).read()
            if not {entity, "time", "label"} <= set(table.column_names):
                raise TrainingError(f"{part.blob} needs the columns {entity}, time and label; it has {', '.join(table.column_names)}")
            rows = table.select([entity, "time", "label"]).to_pandas().dropna()
            times = pd.to_datetime(rows["time"], utc=True).dt.as_unit("us").dt.floor("10min")
            labels.update(zip(zip(rows[entity], times, strict=True), rows["label"], strict=True))
        return cls(labels)

    def of(self, frame: pd.DataFrame, entity: str) -> "pd.Series[str]":
        """The label of each row; empty where nobody said anything."""
        if not self.labels:
            return pd.Series("", index=frame.index, dtype=object)
        keys = zip(frame[entity], frame["time"], strict=True)
        return pd.Series([self.labels.get(key, "") for key in keys], index=frame.index, dtype=object)


def weights(labels: "pd.Series[str]") -> np.ndarray:
    """Weight of each row in the training; 0: left out."""
    weight = np.ones(len(labels))
    weight[labels == FALSE_ALARM] = FALSE_ALARM_WEIGHT
    weight[labels.isin(LEFT_OUT)] = 0.0
    return weight


def hold_out(frame: pd.DataFrame, window: Window, days: int) -> np.ndarray:
    """Mask of the hold-out: the last days of the window. TrainingError when one side stays empty."""
    start = window.last - timedelta(days=days - 1)
    held = (frame["time"] >= pd.Timestamp(start, tz="UTC")).to_numpy()
    if held.all() or not held.any():
        raise TrainingError(
            f"the window {window} has {int(held.sum())} rows from {start} on, to be held out, and {int((~held).sum())} to train on. "
            f"Both are needed: ask for a window of more than {days} days that ends with validated data."
        )
    return held
