"""Parity: whether the exported model says what the native model said, on the golden rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from include.domain.workload import Gates


@dataclass(frozen=True)
class Answers:
    """The golden rows: what the native model said, what ONNX says, and a measurement each (NaN: none). All in the target's unit."""

    native: Sequence[float]
    exported: Sequence[float]
    measured: Sequence[float]
    below: float
    """A residual under it is an anomaly."""


@dataclass(frozen=True)
class Parity:
    """The decision. `reasons` is empty only when it passed."""

    rows: int
    largest_difference: float
    label_flips: int
    """Rows that are an anomaly by one model and normal by the other."""
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the exported model may stand for the native one."""
        return not self.reasons


def parity(answers: Answers, gates: Gates) -> Parity:
    """Compare row by row. No golden rows, or an answer that is no number, is a refusal."""
    pairs = list(zip(answers.native, answers.exported, strict=True))
    if not pairs:
        return Parity(0, math.nan, 0, ("there are no golden rows to compare",))
    silent = sum(not (math.isfinite(native) and math.isfinite(exported)) for native, exported in pairs)
    largest = max((abs(native - exported) for native, exported in pairs if math.isfinite(native - exported)), default=math.nan)
    flips = sum(
        (measured - native < answers.below) != (measured - exported < answers.below)
        for (native, exported), measured in zip(pairs, answers.measured, strict=True)
        if math.isfinite(measured)
    )
    reasons = []
    if silent:
        reasons.append(f"{silent} of {len(pairs)} golden rows have no finite answer")
    if largest > gates.parity_tolerance:
        reasons.append(f"ONNX and native model differ by {largest:.4g}, more than {gates.parity_tolerance:g}")
    if flips > gates.label_flip_budget:
        reasons.append(f"{flips} golden rows change between anomaly and normal, {gates.label_flip_budget} may")
    return Parity(len(pairs), largest, flips, tuple(reasons))
