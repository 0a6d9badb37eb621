"""Stage 7-9: what the sites' scorers queued crosses the border: checked, reduced to what the policy allows, stored for good.

Started by the queues and by the clock. It looks at the queues, never at the event: an event that got lost does no harm.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetAny, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable, task
from airflow.sdk.exceptions import AirflowSkipException

from edgeloop.forms import dag_arguments
from edgeloop.triggers.storage_queue import QueueNotEmptyTrigger
from include.assets import Assets
from include.domain import naming
from include.domain.workload import Workload
from include.settings import site_storage
from include.workloads import load_all


def queue_of(w: Workload, site: str) -> Asset:
    """The site's queue as an asset; its watcher says when it is not empty."""
    trigger = QueueNotEmptyTrigger(storage_conn_id=site_storage(site), queue=naming.queue(w.name))
    return Asset(
        name=f"{w.name}.queue.{site}",
        uri=f"x-edgeloop://{w.name}/queue/{site}",
        group=w.name,
        watchers=[AssetWatcher(name=f"{w.name}.{site}", trigger=trigger)],
    )


def build(w: Workload) -> DAG:
    assets = Assets(w.name)
    hourly = CronTriggerTimetable("17 * * * *", timezone="UTC", run_immediately=timedelta(0))
    queues = AssetAny(*(queue_of(w, site) for site in w.sites))
    with DAG(**dag_arguments(w, "7 drain", __doc__), schedule=AssetOrTimeSchedule(timetable=hourly, assets=queues)) as dag:

        @task(map_index_template="{{ name }}")
        def site(name: str) -> dict[str, Any]:
            from edgeloop.stages import drain

            return drain.drain_site(w.name, name)

        @task(inlets=[assets.deployment], outlets=[assets.insights])
        def record(reports: list[dict[str, Any]]) -> dict[str, Any]:
            from edgeloop.stages import drain

            recorded = drain.record(w.name, list(reports))
            if recorded is None:
                raise AirflowSkipException("the queues were empty: nothing new to publish")
            return recorded

        record(site.expand(name=list(w.sites)))
    return dag


for workload in load_all():
    globals()[workload.name] = build(workload)
