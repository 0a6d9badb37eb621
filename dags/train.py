"""Stage 3: Azure ML trains the model that a training request asks for.

The snapshot names the exact data. The same data, code and parameters are the same job: a second request finds the first one's result.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, PartitionedAssetTimetable, task

from edgeloop.forms import dag_arguments, required_key, told_once
from edgeloop.operators.machine_learning import RunTrainingJobOperator
from include.assets import Assets
from include.domain.workload import Workload
from include.workloads import load_all


def build(w: Workload) -> DAG:
    assets = Assets(w.name)
    with DAG(**dag_arguments(w, "3 train", __doc__), schedule=PartitionedAssetTimetable(assets=assets.training_request)) as dag:

        @task
        def snapshot(partition_key: str | None = None) -> dict[str, Any]:
            from edgeloop.stages import train

            with told_once():
                return train.snapshot(w.name, required_key(partition_key, "request id"))

        @task(inlets=[assets.training_request, assets.validated], outlets=[assets.candidate])
        def register(taken: dict[str, Any], fitted: dict[str, Any], outlet_events: Any = None) -> dict[str, Any]:
            from edgeloop.stages import train

            candidate = train.register(w.name, taken["snapshot"], fitted["job"])
            outlet_events[assets.candidate].add_partitions(candidate["snapshot"])
            return candidate

        taken = snapshot()
        fit = RunTrainingJobOperator(task_id="fit", workload=w.name, snapshot=taken, execution_timeout=timedelta(hours=6))
        register(taken, fit.output)
    return dag


for workload in load_all():
    globals()[workload.name] = build(workload)
