"""The Assets that join the DAGs, named once. Which carry a partition key: docs/architecture.md."""

from dataclasses import dataclass

from airflow.sdk import Asset


def _asset(workload: str, stage: str) -> Asset:
    return Asset(name=f"{workload}.{stage}", uri=f"x-edgeloop://{workload}/{stage}", group=workload)


@dataclass(frozen=True)
class Assets:
    """The assets of one workload. No asset is shared between workloads: each has its own closed loop in the graph."""

    workload: str

    def __getattr__(self, stage: str) -> Asset:
        if stage not in STAGES:
            raise AttributeError(f"there is no asset {stage!r}; there are {', '.join(STAGES)}")
        return _asset(self.workload, stage)


KEYED = ("raw", "validated", "scores", "training_request", "candidate", "release", "deployment")
"""Events that must not be forgotten: Airflow starts one run for each key."""
PLAIN = ("insights", "published")
"""Events that only say "look": their consumers look at the state of the world."""
STAGES = KEYED + PLAIN
