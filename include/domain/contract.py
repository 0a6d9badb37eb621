"""The contract of a model: what it takes, what it gives, and how a record becomes a row of its input tensor.

Written by the training job (`contract.json`), read by the scorer, by batch scoring, by the gate and by the judge of a rollout.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

MISSING = math.nan
"""How a value that was not given stands in the tensor."""


class ContractError(ValueError):
    """A contract that cannot be read; the message names the key."""


class FieldError(ValueError):
    """A record that the model cannot take: `field` names the input, `reason` says what was expected."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True)
class Input:
    """One input of the model: a column of the tensor."""

    name: str
    type: Literal["category", "number"]
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    required: bool = False

    def encode(self, value: object) -> float:
        """A value as the tensor holds it: a number as it is, a category as its index in `values`, NaN when it is missing.

        FieldError: a required value is missing, has the wrong type, lies out of range or is an unknown category.
        """
        if value is None or (isinstance(value, float) and math.isnan(value)):
            if self.required:
                raise FieldError(self.name, "is required")
            return MISSING
        return self._category(value) if self.type == "category" else self._number(value)

    def _category(self, value: object) -> float:
        if value not in self.values:
            raise FieldError(self.name, f"must be one of {', '.join(self.values)}")
        return float(self.values.index(str(value)))

    def _number(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FieldError(self.name, "must be a number")
        low, high = self.minimum, self.maximum
        if math.isinf(value) or (low is not None and value < low) or (high is not None and value > high):
            raise FieldError(self.name, f"must lie between {low} and {high}{f' {self.unit}' if self.unit else ''}")
        return float(value)


@dataclass(frozen=True)
class Tensor:
    """Names of the ONNX graph's input and output, and their element type."""

    input: str
    output: str
    type: str = "float32"


@dataclass(frozen=True)
class Target:
    """What the model predicts."""

    name: str
    unit: str | None = None


@dataclass(frozen=True)
class Anomaly:
    """A residual (measured - expected) smaller than `below` is an anomaly; in the target's unit."""

    below: float
    unit: str | None = None


@dataclass(frozen=True)
class Contract:
    """contract.json as typed values; docs/contracts.md shows one."""

    workload: str
    snapshot: str
    model_digest: str
    """`sha256:<hex>` of the bytes of model.onnx."""
    trained_on: str
    """The window of the training data, hold-out included."""
    inputs: tuple[Input, ...]
    """In the order of the tensor's columns."""
    tensor: Tensor
    target: Target
    anomaly: Anomaly

    def encode(self, record: Mapping[str, Any]) -> list[float]:
        """One row of the tensor; fields that are no inputs are left alone. FieldError names the first bad one."""
        return [column.encode(record.get(column.name)) for column in self.inputs]

    def residual(self, measured: float | None, expected: float) -> float | None:
        """Measured minus expected, None without a measurement."""
        return None if measured is None or math.isnan(measured) else measured - expected

    def is_anomaly(self, residual: float | None) -> bool:
        """Whether the machine stays below what it should give by more than the threshold."""
        return residual is not None and residual < self.anomaly.below

    def to_json(self) -> str:
        """contract.json: the same contract gives the same text."""
        said = asdict(self)
        said["inputs"] = [_told(column) for column in said["inputs"]]
        return json.dumps(said, indent=1) + "\n"

    @classmethod
    def read(cls, text: str | bytes) -> "Contract":
        """From contract.json; ContractError names what is missing or wrong."""
        try:
            said = json.loads(text)
            return cls(
                workload=said["workload"],
                snapshot=said["snapshot"],
                model_digest=said["model_digest"],
                trained_on=said["trained_on"],
                inputs=tuple(_input(column) for column in said["inputs"]),
                tensor=Tensor(**said["tensor"]),
                target=Target(**said["target"]),
                anomaly=Anomaly(**said["anomaly"]),
            )
        except json.JSONDecodeError as error:
            raise ContractError(f"contract.json is not JSON: {error}") from error
        except KeyError as missing:
            raise ContractError(f"contract.json lacks {missing}") from missing
        except TypeError as wrong:
            raise ContractError(f"contract.json: {wrong}") from wrong


def _input(said: Mapping[str, Any]) -> Input:
    if said.get("type") not in ("category", "number"):
        raise ContractError(f"contract.json: input {said.get('name')!r} has type {said.get('type')!r}: only category and number are known")
    return Input(**{**said, "values": tuple(said.get("values") or ())})


def _told(column: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in column.items() if value not in (None, ())}
