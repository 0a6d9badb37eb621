"""Open Inference Protocol v2, JSON over HTTP. https://github.com/kserve/open-inference-protocol

Inputs are either the contract's fields, one tensor each (BYTES or FP64, shape [n] or [n, 1]; the measurement and `time` may come along),
or the one tensor of the ONNX graph, shape [n, inputs], categories as their index. Null stands for a missing value.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from include.domain.contract import Contract
from include.scoring.records import RequestError
from include.scoring.service import Scored

Json = dict[str, Any]


def server() -> Json:
    """Metadata of the server."""
    return {"name": "edgeloop-scorer", "version": "1", "extensions": []}


def model(contract: Contract) -> Json:
    """Metadata of the model; `parameters` carry the contract's ranges, values and units."""
    inputs = [
        {
            "name": column.name,
            "datatype": "BYTES" if column.type == "category" else "FP64",
            "shape": [-1],
            "parameters": {
                "required": column.required,
                "unit": column.unit,
                "minimum": column.minimum,
                "maximum": column.maximum,
                "values": list(column.values),
            },
        }
        for column in contract.inputs
    ]
    return {
        "name": contract.workload,
        "versions": [contract.model_digest],
        "platform": "onnxruntime_onnx",
        "inputs": inputs,
        "outputs": [
            {"name": contract.tensor.output, "datatype": "FP64", "shape": [-1]},
            {"name": "anomaly", "datatype": "BOOL", "shape": [-1]},
            {"name": "id", "datatype": "BYTES", "shape": [-1]},
        ],
    }


def records(said: Any, contract: Contract) -> Json:
    """An inference request as the body of /score; RequestError says what is wrong with it."""
    tensors = said.get("inputs") if isinstance(said, dict) else None
    if not isinstance(tensors, list) or not tensors or not all(isinstance(tensor, dict) for tensor in tensors):
        raise RequestError('the body is {"inputs": [{"name", "shape", "datatype", "data"}, ...]}')
    if len(tensors) == 1 and tensors[0].get("name") == contract.tensor.input:
        return {"records": _rows(_matrix(tensors[0], len(contract.inputs)), contract)}
    columns = {str(tensor.get("name")): _column(tensor) for tensor in tensors}
    if len({len(column) for column in columns.values()}) != 1:
        raise RequestError("the input tensors have different lengths")
    return {"records": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def _column(tensor: Mapping[str, Any]) -> list[Any]:
    return [row[0] for row in _matrix(tensor, 1)]


def _matrix(tensor: Mapping[str, Any], width: int) -> list[list[Any]]:
    """The tensor's rows; `data` may be flat or nested."""
    name, shape, data = tensor.get("name"), tensor.get("shape"), tensor.get("data")
    if not isinstance(data, list):
        raise RequestError(f"input {name}: data is a list; binary data is not taken")
    flat = [value for row in data for value in row] if data and all(isinstance(row, list) for row in data) else data
    if not flat or len(flat) % width:
        raise RequestError(f"input {name}: {len(flat)} values are no whole rows of {width}")
    rows = len(flat) // width
    if shape not in ([rows, width], [rows] if width == 1 else None):
        raise RequestError(f"input {name}: shape {shape} does not fit {len(flat)} values; [{rows}, {width}] would")
    return [flat[start : start + width] for start in range(0, len(flat), width)]


def _rows(matrix: Sequence[Sequence[Any]], contract: Contract) -> list[Json]:
    return [
        {
            column.name: _category(value, column.values) if column.type == "category" else value
            for column, value in zip(contract.inputs, row, strict=True)
        }
        for row in matrix
    ]


def _category(value: Any, values: Sequence[str]) -> Any:
    if isinstance(value, int | float) and float(value).is_integer() and 0 <= value < len(values):
        return values[int(value)]
    return value  # the contract says what is wrong with it


def answer(said: Mapping[str, Any], scored: Scored, contract: Contract) -> Json:
    """An inference response."""
    shape = [len(scored.ids)]
    named = {"id": said["id"]} if isinstance(said.get("id"), str) else {}
    return {
        **named,
        "model_name": contract.workload,
        "model_version": contract.model_digest,
        "outputs": [
            {"name": contract.tensor.output, "datatype": "FP64", "shape": shape, "data": [score.expected for score in scored.scores]},
            {"name": "anomaly", "datatype": "BOOL", "shape": shape, "data": [score.anomaly for score in scored.scores]},
            {"name": "id", "datatype": "BYTES", "shape": shape, "data": scored.ids},
        ],
    }
