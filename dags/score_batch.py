"""Stage 6: the released model scores validated partitions, a task a site.

Runs for each validated window, and for the newest window again when a site got a new release.
"""

from typing import Any

from airflow.sdk import DAG, PartitionedAssetTimetable, task
from airflow.sdk.exceptions import AirflowSkipException

from edgeloop.forms import dag_arguments
from include.assets import Assets
from include.domain.workload import Workload
from include.workloads import load_all


def build(w: Workload) -> DAG:
    assets = Assets(w.name)
    schedule = PartitionedAssetTimetable(assets=assets.validated | assets.deployment)
    with DAG(**dag_arguments(w, "6 score_batch", __doc__), schedule=schedule) as dag:

        @task
        def plan(partition_key: str | None = None) -> list[dict[str, str]]:
            from edgeloop.exceptions import NothingToDo
            from edgeloop.stages import score_batch

            try:
                return score_batch.plan(w.name, partition_key)
            except NothingToDo as nothing:
                raise AirflowSkipException(str(nothing)) from nothing

        @task(map_index_template="{{ part['site'] }}")
        def site(part: dict[str, str]) -> dict[str, Any]:
            from edgeloop.stages import score_batch

            return score_batch.score_site(w.name, part["site"], part["window"])

        @task(inlets=[assets.validated, assets.deployment], outlets=[assets.scores])
        def score(reports: list[dict[str, Any]], outlet_events: Any = None) -> dict[str, Any]:
            from edgeloop.stages import score_batch

            summary = score_batch.summary(w.name, list(reports))
            outlet_events[assets.scores].add_partitions(summary["window"])
            return summary

        score(site.expand(part=plan()))
    return dag


for workload in load_all():
    globals()[workload.name] = build(workload)
