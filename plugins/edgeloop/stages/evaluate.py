"""Stage 4, the first two steps of a promotion: does the exported model say what the native one said, and is it better than the champion?"""

import json
import logging
from typing import TYPE_CHECKING, Any

from edgeloop import ledger
from edgeloop.exceptions import NothingToDo, Refused, UnexpectedReply
from edgeloop.model import Model, job_file, job_table
from edgeloop.stages.release import CHAMPION
from include import workloads
from include.domain.gate import Decision, Outcome, Score
from include.domain.gate import gate as decide
from include.domain.parity import Answers
from include.domain.parity import parity as compare

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)


def parity(workload: str, snapshot: str) -> dict[str, Any]:
    """Score the golden rows with ONNX; recorded as `parity`. Refused when the answers are not those of the native model."""
    candidate = _candidate(workload, snapshot)
    model, rows = Model.of_job(workload, candidate["job"]), job_table(workload, candidate["job"], "golden.parquet")
    target = model.contract.target.name
    measured = rows[target].to_pylist() if target in rows.column_names else [float("nan")] * rows.num_rows
    answers = Answers(rows["expected"].to_pylist(), model.predict(rows).tolist(), measured, model.contract.anomaly.below)
    found = compare(answers, workloads.load(workload).gates)
    facts = {
        "passed": found.passed,
        "rows": found.rows,
        "largest_difference": found.largest_difference,
        "label_flips": found.label_flips,
        "reasons": list(found.reasons),
        "model_digest": model.contract.model_digest,
    }
    ledger.record(workload, snapshot, "parity", facts)
    if not found.passed:
        raise Refused(f"the exported model of job {candidate['job']} is not the trained one: {'; '.join(found.reasons)}")
    return facts


def gate(workload: str, snapshot: str) -> dict[str, Any] | None:
    """Challenger against champion; recorded as `gate` with decision and reasons. None unless it is accepted: the promotion ends there."""
    found, facts = _decide(workload, snapshot)
    said = {"decision": found.decision.value, "reasons": list(found.reasons), **facts}
    if found.decision is not Decision.KNOWN:
        ledger.record(workload, snapshot, "gate", said)
    log.info("%s: %s", found.decision.value, "; ".join(found.reasons))
    return said if found.decision is Decision.ACCEPTED else None


def _decide(workload: str, snapshot: str) -> tuple[Outcome, dict[str, Any]]:
    champion = ledger.read(workload, CHAMPION, "release")
    if champion is not None and champion["snapshot"] == snapshot:
        return Outcome(Decision.KNOWN, (f"the champion {champion['reference']} was trained on this snapshot",)), {}
    candidate = _candidate(workload, snapshot)
    challenger = _challenger(workload, candidate["job"])
    held = job_table(workload, candidate["job"], "holdout.parquet")
    against = _champion(workload, champion["job"], held) if champion else None
    facts = {
        "rows": challenger.rows,
        "rmse": challenger.rmse,
        "baseline_rmse": challenger.baseline,
        "champion": champion["digest"] if champion else None,
        "champion_rmse": round(against.rmse, 3) if against else None,
    }
    return decide(challenger, against, workloads.load(workload).gates), facts


def _challenger(workload: str, job: str) -> Score:
    said = json.loads(job_file(workload, job, "metrics.json"))
    try:
        slices = {f"{name} {value}": float(found["rmse"]) for name, values in said["slices"].items() for value, found in values.items()}
        return Score(int(said["holdout"]["rows"]), float(said["rmse"]), slices, float(said["baseline"]["rmse"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UnexpectedReply(f"metrics.json of job {job} is not as docs/contracts.md says ({error!r}): train again") from error


def _champion(workload: str, job: str, held: "pa.Table") -> Score:
    """The champion on the challenger's hold-out. Rows that its contract does not allow count as no answer: then nothing is decided."""
    import numpy as np
    import pyarrow.compute as pc

    model, about = Model.of_job(workload, job), workloads.load(workload)
    squares = (held[about.target].to_numpy() - model.predict(held)) ** 2
    slices = {}
    for name in ("site", about.entity):
        for value in sorted(held[name].unique().to_pylist()):
            mask = pc.equal(held[name], value).to_numpy()
            slices[f"{name} {value}"] = float(np.sqrt(squares[mask].mean()))
    return Score(held.num_rows, float(np.sqrt(squares.mean())) if held.num_rows else float("nan"), slices)


def _candidate(workload: str, snapshot: str) -> ledger.Facts:
    found = ledger.read(workload, snapshot, "candidate")
    if found is None:
        raise NothingToDo(f"the ledger of {workload} has no candidate {snapshot}: run {workload}.train for it first")
    return found
