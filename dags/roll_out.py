"""Stage 5: a release reaches the sites, wave after wave.

On each site: a canary, a verdict on what it answers, then the new digest or the old one. A wave with a failed site is the last.
"""

from typing import Any

from airflow.sdk import DAG, Param, PartitionedAssetTimetable, TaskGroup, TriggerRule, chain, task, task_group

from edgeloop.forms import dag_arguments, told_once
from edgeloop.operators.site_pod import SitePodOperator
from include.assets import Assets
from include.domain.workload import Workload
from include.settings import scoring_values, waves
from include.workloads import load_all

RELEASE = "{{ ti.xcom_pull(task_ids='plan')['release'] }}"


def build(w: Workload) -> DAG:
    assets = Assets(w.name)
    digest = Param(
        "",
        type="string",
        pattern="^(sha256:[0-9a-f]{64})?$",
        title="Release digest",
        description="A release to bring to the sites (again). Empty: the one of this run's partition.",
    )
    with DAG(
        **dag_arguments(w, "5 roll_out", __doc__),
        schedule=PartitionedAssetTimetable(assets=assets.release),
        params={"digest": digest},
    ) as dag:

        @task
        def plan(params: dict[str, Any], partition_key: str | None = None) -> dict[str, Any]:
            from edgeloop.stages import roll_out

            with told_once():
                return roll_out.plan(w.name, params["digest"] or partition_key)

        @task_group
        def site(name: str, values: str) -> None:
            steps = [
                SitePodOperator(
                    task_id=step,
                    step=step,
                    workload=w.name,
                    site=name,
                    release=RELEASE,
                    values=values,
                    map_index_template="{{ task.site }}",
                    trigger_rule=TriggerRule.ALL_DONE if step == "finish" else TriggerRule.ALL_SUCCESS,
                )
                for step in ("canary", "judge", "finish")
            ]
            chain(*steps)

        @task(trigger_rule=TriggerRule.ALL_DONE)
        def verdict(sites: list[str], planned: dict[str, Any]) -> dict[str, Any]:
            from edgeloop.stages import roll_out

            return roll_out.verdict(w.name, sites, planned["release"])

        @task(inlets=[assets.release], outlets=[assets.deployment])
        def record(planned: dict[str, Any], outlet_events: Any = None) -> dict[str, Any]:
            from edgeloop.stages import roll_out

            deployed = roll_out.record(w.name, planned["digest"], list(w.sites))
            outlet_events[assets.deployment].add_partitions(deployed["digest"])
            return deployed

        planned = plan()
        steps: list[Any] = [planned]
        for number, names in waves(w.sites).items():
            with TaskGroup(f"wave_{number}") as wave:
                rolled = site.expand_kwargs([{"name": name, "values": scoring_values(name)} for name in names])
                rolled >> verdict(names, planned)
            steps.append(wave)
        chain(*steps, record(planned))
    return dag


for workload in load_all():
    globals()[workload.name] = build(workload)
