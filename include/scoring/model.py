"""The model: loaded only when its bytes are those that the contract names, asked with whole tensors."""

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt

from include.domain.contract import Contract, FieldError, Input

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

FEW = 16
"""Records; up to so many, asking the contract value by value is faster than numpy."""
LARGEST = float(np.finfo(np.float32).max)

Record = Mapping[str, Any]
Tensor = npt.NDArray[np.float32]


class ModelError(RuntimeError):
    """A model that must not serve."""


class RecordError(ValueError):
    """A record that cannot be scored: its place in the request (from 0), the field, and what was expected of it."""

    def __init__(self, record: int, field: str, reason: str) -> None:
        super().__init__(f"record {record}, {field}: {reason}")
        self.record = record
        self.field = field
        self.reason = reason


@dataclass(frozen=True)
class Score:
    """What the model says of one record, in the target's unit."""

    expected: float
    residual: float | None
    """Measured minus expected; None when nothing was measured."""
    anomaly: bool


class Model:
    """A contract and the session that fulfils it."""

    def __init__(self, contract: Contract, session: Any) -> None:
        self.contract = contract
        self._session = session
        self._target = Input(contract.target.name, "number")
        self._places = {column.name: {value: float(n) for n, value in enumerate(column.values)} for column in contract.inputs}

    @classmethod
    def load(cls, folder: Path, workload: str, threads: int = 1) -> "Model":
        """Read `contract.json` and `model.onnx`, check that they belong together, and warm up.

        ModelError: a file is missing, the model's SHA-256 is not the contract's, or the graph does not fit the contract.
        """
        try:
            contract = Contract.read((folder / "contract.json").read_bytes())
            data = (folder / "model.onnx").read_bytes()
        except (OSError, ValueError) as error:
            raise ModelError(f"the model in {folder} cannot be read: {error}") from error
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        if digest != contract.model_digest:
            raise ModelError(f"model.onnx in {folder} is {digest}, but its contract is for {contract.model_digest}: package them again")
        if contract.workload != workload:
            raise ModelError(f"the model in {folder} is for {contract.workload}, this scorer serves {workload}")
        model = cls(contract, _session(data, threads))
        model._warm()
        return model

    def score(self, records: Sequence[Record]) -> list[Score]:
        """Scores in the order of the records; RecordError names the first record that the model cannot take."""
        measured = self._measured(records)
        expected = self._run(self.encode(records))
        residuals = [self.contract.residual(m, e) for m, e in zip(measured, expected, strict=True)]
        return [Score(e, r, self.contract.is_anomaly(r)) for e, r in zip(expected, residuals, strict=True)]

    def encode(self, records: Sequence[Record]) -> Tensor:
        """The input tensor, (records, inputs). Columns are taken whole; the contract itself is asked only where something is wrong."""
        tensor = np.empty((len(records), len(self.contract.inputs)), np.float32)
        for place, column in enumerate(self.contract.inputs):
            values = [record.get(column.name) for record in records]
            whole = self._whole(column, values) if len(values) > FEW else None
            tensor[:, place] = _one_by_one(column, values) if whole is None else whole
        return tensor

    def _whole(self, column: Input, values: list[Any]) -> Sequence[float] | Tensor | None:
        return self._category(column, values) if column.type == "category" else _number(column, values)

    def _category(self, column: Input, values: list[Any]) -> list[float] | None:
        places = self._places[column.name]
        try:
            return [places[value] for value in values]
        except (KeyError, TypeError):
            return None

    def _measured(self, records: Sequence[Record]) -> list[float | None]:
        values = [record.get(self._target.name) for record in records]
        if len(values) <= FEW or _number(self._target, values) is None:
            _one_by_one(self._target, values)
        return values

    def _run(self, tensor: Tensor) -> list[float]:
        names = self.contract.tensor
        found: list[float] = self._session.run([names.output], {names.input: tensor})[0].reshape(len(tensor), -1)[:, 0].tolist()
        if not all(map(math.isfinite, found)):
            place = next(n for n, value in enumerate(found) if not math.isfinite(value))
            raise RecordError(place, self._target.name, "the model has no finite answer to it")
        return found

    def _warm(self) -> None:
        """One answer before the first question: what does not fit shows now, and the first user does not wait."""
        row = [float(column.minimum or 0) for column in self.contract.inputs]
        try:
            self._run(np.array([row], np.float32))
        except RecordError:
            return  # an edge of the ranges may have no answer; the graph runs
        except Exception as error:  # onnxruntime's errors have no common root
            raise ModelError(f"model.onnx does not fit its contract: {error}") from error


def _session(data: bytes, threads: int) -> Any:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common root
        raise ModelError(f"onnxruntime cannot load model.onnx: {error}") from error


def _number(column: Input, values: list[Any]) -> npt.NDArray[np.float32] | None:
    """The column as it is, or None when any value needs a closer look."""
    if not set(map(type, values)) <= {float, int, NoneType}:
        return None
    with np.errstate(over="ignore"):
        found = np.array(values, np.float64).astype(np.float32)  # None becomes NaN
    missing = np.isnan(found)
    known = np.array(values, np.float64)[~missing]
    low = -np.inf if column.minimum is None else column.minimum
    high = np.inf if column.maximum is None else column.maximum
    if (column.required and missing.any()) or np.isinf(found).any() or (known < low).any() or (known > high).any():
        return None
    return found


def _one_by_one(column: Input, values: list[Any]) -> list[float]:
    found = []
    for place, value in enumerate(values):
        try:
            found.append(column.encode(value))
        except FieldError as error:
            raise RecordError(place, error.field, error.reason) from error
        if abs(found[-1]) > LARGEST:
            raise RecordError(place, column.name, "is beyond what the model's numbers can hold (float32)")
    return found
