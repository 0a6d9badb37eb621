"""Stage 5b: one site returns to the release it served before. By hand, with a reason."""

from typing import Any

from airflow.sdk import DAG, Param, task

from edgeloop.forms import dag_arguments, reason_field, told_once
from edgeloop.operators.site_pod import SitePodOperator
from include.assets import Assets
from include.domain.workload import Workload
from include.settings import scoring_values
from include.workloads import load_all


def build(w: Workload) -> DAG:
    assets = Assets(w.name)
    site = Param(
        w.sites[0], type="string", enum=list(w.sites), title="Site", description="The site that returns to the release it served before."
    )
    with DAG(**dag_arguments(w, "5 roll_back", __doc__), schedule=None, params={"site": site, **reason_field()}) as dag:

        @task
        def plan(params: dict[str, Any]) -> list[dict[str, str]]:
            from edgeloop.stages import roll_out

            with told_once():
                return [{**roll_out.current(w.name, params["site"]), "values": scoring_values(params["site"])}]

        @task(inlets=[assets.release], outlets=[assets.deployment])
        def record(planned: list[dict[str, str]], params: dict[str, Any], outlet_events: Any = None) -> dict[str, Any]:
            from edgeloop.stages import roll_out

            returned = roll_out.record_return(w.name, planned[0]["site"], planned[0]["release"], params["reason"])
            outlet_events[assets.deployment].add_partitions(returned["digest"])
            return returned

        planned = plan()
        back = SitePodOperator.partial(task_id="roll_back", step="roll-back", workload=w.name, map_index_template="{{ task.site }}")
        back.expand_kwargs(planned) >> record(planned)
    return dag


for workload in load_all():
    globals()[workload.name] = build(workload)
