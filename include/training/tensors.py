"""The tensor of a contract for many rows at once, as include.domain.contract encodes one; and the model as ONNX."""

from typing import Any, Protocol

import numpy as np
import pandas as pd
from onnx import TensorProto, checker, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

from include.domain.contract import Input, Tensor
from include.domain.workload import Workload

TENSOR = Tensor("features", "prediction")
OPSET = {"": 18, "ai.onnx.ml": 3}


class Native(Protocol):
    """A trained model: what its front gives plus what its trees give. A workload's train.py makes one."""

    trees: Any
    """A HistGradientBoostingRegressor over the tensor."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The target of each row, float64 [rows]."""

    def front(self, features: str, curve: str) -> tuple[list[tuple[str, list[str], str, dict[str, int]]], dict[str, np.ndarray]]:
        """The front as ONNX nodes (operator, inputs, output, attributes) and constants: `curve` [rows, 1] from `features`."""


def inputs(workload: Workload, frame: pd.DataFrame) -> tuple[Input, ...]:
    """The contract's inputs: the workload's features; a category's values are those that the training data has, sorted."""
    return tuple(
        Input(
            name=column.name,
            type="category" if column.type == "category" else "number",
            unit=column.unit,
            minimum=column.minimum,
            maximum=column.maximum,
            values=tuple(sorted(str(value) for value in frame[column.name].dropna().unique())) if column.type == "category" else (),
            required=column.required,
        )
        for column in workload.features
    )


def encode(columns: tuple[Input, ...], frame: pd.DataFrame) -> np.ndarray:
    """float32 [rows, inputs]: categories as their index, missing as NaN."""
    rows = [
        frame[column.name].map({value: float(n) for n, value in enumerate(column.values)})
        if column.type == "category"
        else frame[column.name]
        for column in columns
    ]
    return np.column_stack([np.asarray(values, dtype=np.float32) for values in rows])


def round_thresholds(model: Native) -> None:
    """Round the trees' thresholds down to float32, in place.

    Inputs are float32: `x <= t` holds for the rounded threshold exactly when it holds for the exact one. So the native model and its ONNX
    form, whose thresholds are float32, take the same branch for every input.
    """
    for (tree,) in model.trees._predictors:
        nodes = tree.nodes
        exact = nodes["num_threshold"]
        near = exact.astype(np.float32)
        nodes["num_threshold"] = np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)


def thresholds(model: Native, column: int) -> np.ndarray:
    """Where the model's trees part on this column, sorted."""
    found = [tree.nodes[(tree.nodes["is_leaf"] == 0) & (tree.nodes["feature_idx"] == column)] for (tree,) in model.trees._predictors]
    values = np.unique(np.concatenate([nodes["num_threshold"] for nodes in found]))
    return values[np.isfinite(values)].astype(np.float32)


def to_bytes(model: Native, width: int, workload: str) -> bytes:
    """model.onnx, the sum of the model's front and its trees: the same model gives the same bytes."""
    trees = to_onnx(model.trees, initial_types=[(TENSOR.input, FloatTensorType([None, width]))], target_opset=OPSET, name=workload)
    nodes, constants = model.front(TENSOR.input, "front")
    front = [helper.make_node(kind, given, [made], **attributes) for kind, given, made, attributes in nodes]
    total = helper.make_node("Add", ["front", trees.graph.output[0].name], [TENSOR.output])
    graph = helper.make_graph(
        [*front, *trees.graph.node, total],
        workload,
        [helper.make_tensor_value_info(TENSOR.input, TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(TENSOR.output, TensorProto.FLOAT, [None, 1])],
        [*trees.graph.initializer, *(numpy_helper.from_array(value, name) for name, value in constants.items())],
    )
    made = helper.make_model(graph, opset_imports=[*trees.opset_import], ir_version=trees.ir_version)
    checker.check_model(made)
    return made.SerializeToString(deterministic=True)
