"""Where a rollout stands: one ConfigMap a workload, so that any step can go on after any crash and Airflow can read what was decided."""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from include.domain import naming
from include.domain.rollout import Judgement
from include.rollout.cluster import Cluster

KEY = "state"


@dataclass(frozen=True)
class State:
    """What the site says of the workload's rollout."""

    release: str
    """The image that is being, or was last, rolled out."""
    step: str
    """The last step that ended: `canary`, `judge`, `finish` or `roll-back`; `begun`: the canary is on its way."""
    current: str = ""
    """The image that the stable scorer runs."""
    previous: str = ""
    """The image before it."""
    verdict: str | None = None
    reasons: tuple[str, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)
    at: str = ""

    def judged(self, judgement: Judgement) -> "State":
        """The same with a verdict."""
        return replace(self, verdict=str(judgement.verdict), reasons=judgement.reasons)


def load(cluster: Cluster, workload: str) -> State | None:
    """The state, or None before the first rollout."""
    data = cluster.config_map(naming.rollout_state(workload))
    if not data or KEY not in data:
        return None
    said = json.loads(data[KEY])
    return State(**{**said, "reasons": tuple(said.get("reasons", ()))})


def save(cluster: Cluster, workload: str, state: State) -> State:
    """Write the state with the time; gives what was written."""
    stamped = replace(state, at=datetime.now(UTC).isoformat(timespec="seconds"))
    cluster.apply_config_map(naming.rollout_state(workload), {KEY: json.dumps(asdict(stamped), allow_nan=False)})
    return stamped
