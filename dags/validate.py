"""Stage 2: Great Expectations separates good rows from bad ones.

Good rows go on, bad rows go to quarantine with their reasons, a partition that is mostly bad is withheld as a whole.
A run also takes up earlier days that are raw and were never judged; run it by hand to catch up with everything.
"""

from typing import Any

from airflow.sdk import DAG, PartitionedAssetTimetable, task
from airflow.sdk.exceptions import AirflowSkipException

from edgeloop.forms import dag_arguments, sites_field
from edgeloop.operators.validation import ValidateSiteOperator
from include.assets import Assets
from include.domain.workload import Workload
from include.workloads import load_all


def build(w: Workload) -> DAG:
    assets = Assets(w.name)
    with DAG(
        **dag_arguments(w, "2 validate", __doc__),
        schedule=PartitionedAssetTimetable(assets=assets.raw),
        params=sites_field(w),
    ) as dag:

        @task
        def plan(params: dict[str, Any], partition_key: str | None = None) -> list[dict[str, str]]:
            from edgeloop.exceptions import NothingToDo
            from edgeloop.stages import validate

            try:
                return validate.plan(w.name, params["sites"], partition_key)
            except NothingToDo as nothing:
                raise AirflowSkipException(str(nothing)) from nothing

        @task(inlets=[assets.raw], outlets=[assets.validated])
        def check(reports: list[dict[str, Any]], outlet_events: Any = None) -> dict[str, Any]:
            from edgeloop.stages import validate

            summary = validate.summary(w.name, list(reports))
            if not summary["windows"]:
                raise AirflowSkipException("no partition passed: see the quarantine")
            outlet_events[assets.validated].add_partitions(summary["windows"])
            return summary

        site = ValidateSiteOperator.partial(task_id="site", workload=w.name, map_index_template="{{ task.part['site'] }}")
        check(site.expand(part=plan()).output)
    return dag


for workload in load_all():
    globals()[workload.name] = build(workload)
