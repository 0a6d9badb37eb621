"""A trained model as a job left it in the lake: its contract, and its answers for many rows at once."""

import hashlib
import io
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgeloop.exceptions import NothingToDo, UnexpectedReply
from edgeloop.hooks.lake import LakeHook
from include.domain import naming
from include.domain.contract import Contract, Input

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclass
class Model:
    """model.onnx and contract.json of one job."""

    contract: Contract
    graph: bytes

    @classmethod
    def of_job(cls, workload: str, job: str) -> "Model":
        """Read from the job's folder. NothingToDo: it is not there; UnexpectedReply: the model is not the contract's."""
        contract = Contract.read(job_file(workload, job, "contract.json"))
        graph = job_file(workload, job, "model.onnx")
        found = "sha256:" + hashlib.sha256(graph).hexdigest()
        if found != contract.model_digest:
            raise UnexpectedReply(f"model.onnx of job {job} is {found}, its contract says {contract.model_digest}: train again")
        return cls(contract, graph)

    @cached_property
    def _session(self) -> Any:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read at import
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])

    def predict(self, rows: "pa.Table") -> "np.ndarray":
        """What the model expects for each row, float64. A row that the contract does not allow gets NaN."""
        import numpy as np

        columns = [_encode(column, rows) for column in self.contract.inputs]
        tensor = np.column_stack([values for values, _ in columns]).astype(np.float32)
        refused = np.logical_or.reduce([bad for _, bad in columns])
        if not len(tensor):
            return np.empty(0)
        tensor_said = self.contract.tensor
        said = self._session.run([tensor_said.output], {tensor_said.input: tensor})[0].reshape(-1).astype(np.float64)
        return np.where(refused, np.nan, said)


def job_file(workload: str, job: str, name: str) -> bytes:
    """An output of a training job; NothingToDo when the job did not write it."""
    lake, blob = LakeHook(), f"{naming.job_folder(workload, job)}/{name}"
    data = lake.read_or_none(blob)
    if data is None:
        raise NothingToDo(f"{lake.uri(blob)} is not there: the training job {job} did not write it; train again")
    return data


def job_table(workload: str, job: str, name: str) -> "pa.Table":
    """A Parquet output of a training job."""
    import pyarrow.parquet as pq

    return pq.read_table(io.BytesIO(job_file(workload, job, name)))


def _encode(column: Input, rows: "pa.Table") -> "tuple[np.ndarray, np.ndarray]":
    """`Input.encode` for a whole column: the values, and a mask of those that it refuses."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    given = rows[column.name].combine_chunks()
    if column.type == "category":
        places = pc.index_in(given.cast(pa.string()), value_set=pa.array(column.values, pa.string()))
        values = places.cast(pa.float64()).to_numpy(zero_copy_only=False)
        unknown = np.isnan(values) & ~given.is_null().to_numpy(zero_copy_only=False)
    else:
        values = given.cast(pa.float64()).to_numpy(zero_copy_only=False)
        low = -np.inf if column.minimum is None else column.minimum
        high = np.inf if column.maximum is None else column.maximum
        unknown = (values < low) | (values > high) | np.isinf(values)
    return values, unknown | (np.isnan(values) if column.required else False)
