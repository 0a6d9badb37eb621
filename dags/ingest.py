"""Stage 1: Data Factory brings a window of the sites' measurements into the lake.

Every night the day before; by hand any window, a year in one run. A rerun replaces what it brought before.
"""

from typing import Any

from airflow.sdk import DAG, CronPartitionTimetable, task

from edgeloop.forms import dag_arguments, reason_field, sites_field, told_once, window_fields
from edgeloop.operators.data_factory import RunPipelineOperator
from include.assets import Assets
from include.domain.workload import Workload
from include.workloads import load_all


def build(w: Workload) -> DAG:
    assets = Assets(w.name)
    with DAG(
        **dag_arguments(w, "1 ingest", __doc__),
        schedule=CronPartitionTimetable(w.schedule, timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
        params={**window_fields("First day to bring in. Empty: the day of this run's partition."), **sites_field(w), **reason_field()},
    ) as dag:

        @task
        def plan(params: dict[str, Any], partition_key: str | None = None) -> list[dict[str, str]]:
            from edgeloop.stages import ingest

            with told_once():
                return ingest.plan(w.name, dict(params), partition_key)

        @task(outlets=[assets.raw])
        def land(planned: list[dict[str, str]], outlet_events: Any = None) -> dict[str, Any]:
            from edgeloop.stages import ingest

            landed = ingest.land(w.name, planned)
            outlet_events[assets.raw].add_partitions(landed["window"])
            return landed

        planned = plan()
        copy = RunPipelineOperator.partial(
            task_id="copy",
            workload=w.name,
            pipeline=f"{w.name}_ingest",
            map_index_template="{{ task.parameters['site'] }}",
        ).expand(parameters=planned)
        copy >> land(planned)
    return dag


for workload in load_all():
    globals()[workload.name] = build(workload)
