"""The gate: whether a challenger may become a release. No data is not good news."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from include.domain.workload import Gates


class Decision(StrEnum):
    """What the gate says."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"
    """There is too little to decide on; nothing is released."""
    KNOWN = "known"
    """This snapshot is released already."""


@dataclass(frozen=True)
class Score:
    """Errors of one model on the hold-out, in the target's unit (root mean square)."""

    rows: int
    rmse: float
    slices: Mapping[str, float] = field(default_factory=dict)
    """By `<slice> <value>`: `turbine R80711`."""
    baseline: float = math.nan
    """Error of the workload's baseline on the same rows; NaN: not measured."""


@dataclass(frozen=True)
class Outcome:
    """The decision and its reasons, for people."""

    decision: Decision
    reasons: tuple[str, ...]


def gate(challenger: Score, champion: Score | None, gates: Gates) -> Outcome:
    """Challenger against champion on the same hold-out, overall and in each slice; without a champion against the baseline and a limit."""
    missing = _too_little(challenger, champion, gates)
    if missing:
        return Outcome(Decision.INCONCLUSIVE, missing)
    reasons = _absolute(challenger, gates) if champion is None else _against(challenger, champion, gates)
    if reasons:
        return Outcome(Decision.REFUSED, reasons)
    beaten = f"the baseline's is {challenger.baseline:.2f}" if champion is None else f"the champion's is {champion.rmse:.2f}"
    return Outcome(Decision.ACCEPTED, (f"RMSE {challenger.rmse:.2f}, {beaten}",))


def _too_little(challenger: Score, champion: Score | None, gates: Gates) -> tuple[str, ...]:
    found = []
    if challenger.rows < gates.smallest_holdout:
        found.append(f"the hold-out has {challenger.rows} rows, {gates.smallest_holdout} are needed")
    for name, score in (("challenger", challenger), ("champion", champion)):
        errors = {} if score is None else {"all rows": score.rmse, **score.slices}
        found += [f"the {name} has no error on {where}" for where, error in errors.items() if not math.isfinite(error)]
    if champion is None and not math.isfinite(challenger.baseline):
        found.append("the baseline has no error on all rows, and there is no champion to compare with")
    if champion is not None and champion.rows != challenger.rows:
        found.append(f"the champion was measured on {champion.rows} rows, the challenger on {challenger.rows}")
    return tuple(found)


def _absolute(challenger: Score, gates: Gates) -> tuple[str, ...]:
    found = []
    if challenger.rmse > gates.largest_rmse:
        found.append(f"RMSE {challenger.rmse:.2f} is above {gates.largest_rmse:g}, and there is no champion to compare with")
    if challenger.baseline - challenger.rmse < gates.smallest_baseline_gain:
        found.append(
            f"RMSE {challenger.rmse:.2f} against the baseline's {challenger.baseline:.2f}: "
            f"a gain of {gates.smallest_baseline_gain:g} is asked for"
        )
    return tuple(found)


def _against(challenger: Score, champion: Score, gates: Gates) -> tuple[str, ...]:
    found = []
    gain = champion.rmse - challenger.rmse
    if gain < gates.smallest_gain:
        found.append(
            f"RMSE {challenger.rmse:.2f} against the champion's {champion.rmse:.2f}: a gain of {gates.smallest_gain:g} is asked for"
        )
    for name, error in sorted(champion.slices.items()):
        own = challenger.slices.get(name)
        if own is None:
            found.append(f"{name} was not measured for the challenger")
        elif own - error > gates.largest_slice_loss:
            found.append(f"{name}: {own:.2f} against {error:.2f}, a loss of at most {gates.largest_slice_loss:g} is allowed")
    return tuple(found)
