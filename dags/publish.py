"""Stage 10: what the company may know: aggregates in the lake, the Power BI dataset, and the global page."""

from typing import Any

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException

from edgeloop.forms import dag_arguments
from edgeloop.operators.power_bi import RefreshDatasetOperator
from include.assets import Assets
from include.domain.workload import Workload
from include.workloads import load_all


def build(w: Workload) -> DAG:
    assets = Assets(w.name)
    with DAG(**dag_arguments(w, "8 publish", __doc__), schedule=[assets.insights]) as dag:

        @task
        def aggregate() -> dict[str, Any]:
            from edgeloop.stages import publish

            found = publish.aggregate(w.name)
            if found is None:
                raise AirflowSkipException("nothing was stored since the last time: the page is up to date")
            return found

        @task(inlets=[assets.insights, assets.scores], outlets=[assets.published])
        def page(aggregated: dict[str, Any]) -> dict[str, Any]:
            from edgeloop.stages import publish

            return publish.page(w.name, aggregated)

        aggregated = aggregate()
        refresh = RefreshDatasetOperator(task_id="refresh", workload=w.name, version=aggregated["version"])
        refresh >> page(aggregated)
    return dag


for workload in load_all():
    globals()[workload.name] = build(workload)
