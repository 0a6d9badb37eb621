"""Makes the tests' tiny model: `python make_model.py`, where `onnx` is installed. What it writes beside itself is committed.

Power is 100 kW for each m/s, 1 kW less for each degree Celsius, 10 kW more for each place of the turbine in the list; missing counts as 0.
"""

import hashlib
import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper

FOLDER = Path(__file__).parent / "model"
WEIGHTS = [10.0, 100.0, -1.0]

graph = helper.make_graph(
    [
        helper.make_node("IsNaN", ["features"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "features"], ["known"]),
        helper.make_node("MatMul", ["known", "weights"], ["prediction"]),
    ],
    "tiny",
    [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 3])],
    [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 1])],
    [helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]), helper.make_tensor("weights", TensorProto.FLOAT, [3, 1], WEIGHTS)],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
FOLDER.mkdir(exist_ok=True)
data = model.SerializeToString()
(FOLDER / "model.onnx").write_bytes(data)
contract = {
    "workload": "wind_power",
    "snapshot": "sha256:" + "5" * 64,
    "model_digest": "sha256:" + hashlib.sha256(data).hexdigest(),
    "trained_on": "2014-01-01..2014-12-31",
    "inputs": [
        {"name": "turbine", "type": "category", "values": ["R80711", "R80721"], "required": True},
        {"name": "wind_speed_ms", "type": "number", "unit": "m/s", "minimum": 0, "maximum": 40, "required": True},
        {"name": "temperature_c", "type": "number", "unit": "degC", "minimum": -30, "maximum": 45, "required": False},
    ],
    "tensor": {"input": "features", "output": "prediction", "type": "float32"},
    "target": {"name": "power_kw", "unit": "kW"},
    "anomaly": {"below": -312.5, "unit": "kW"},
}
(FOLDER / "contract.json").write_text(json.dumps(contract, indent=1) + "\n", encoding="utf-8")
