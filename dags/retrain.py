"""Stage 11: schedule, feedback and people become one training request.

Looks at the state of the world each time: what was validated and answered since the last request. By hand: always, with window and reason.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, task
from airflow.sdk.exceptions import AirflowSkipException

from edgeloop.forms import dag_arguments, reason_field, told_once, window_fields
from include.assets import Assets
from include.domain.workload import Workload
from include.workloads import load_all


def build(w: Workload) -> DAG:
    assets = Assets(w.name)
    weekly = CronTriggerTimetable(w.retraining.schedule, timezone="UTC", run_immediately=timedelta(0))
    with DAG(
        **dag_arguments(w, "9 retrain", __doc__),
        schedule=AssetOrTimeSchedule(timetable=weekly, assets=[assets.published]),
        params={**window_fields("First day to train on. Empty: as many days as the workload says, up to the newest."), **reason_field()},
    ) as dag:

        @task(inlets=[assets.published], outlets=[assets.training_request])
        def request(params: dict[str, Any], dag_run: Any = None, outlet_events: Any = None) -> dict[str, Any]:
            from edgeloop.stages import retrain

            with told_once():
                decided = retrain.decide(w.name, dict(params), run_type=dag_run.run_type.value, run_id=dag_run.run_id)
            if decided["request"] is None:
                raise AirflowSkipException(decided["reason"])
            outlet_events[assets.training_request].add_partitions(decided["request"])
            return decided

        request()
    return dag


for workload in load_all():
    globals()[workload.name] = build(workload)
