"""Stage 4: from candidate to release. Parity, gate, image by digest, signature, approval, copy to the release registry.

Each step is recorded in the ledger under the snapshot. A challenger that is not better ends here, and so does one that a person rejects.
"""

from typing import Any

from airflow.sdk import DAG, PartitionedAssetTimetable, chain, task

from edgeloop.forms import dag_arguments, required_key
from edgeloop.operators.approval import ReleaseApproval
from include.assets import Assets
from include.domain.workload import Workload
from include.workloads import load_all

SNAPSHOT = "snapshot hash"


def build(w: Workload) -> DAG:
    assets = Assets(w.name)
    with DAG(**dag_arguments(w, "4 promote", __doc__), schedule=PartitionedAssetTimetable(assets=assets.candidate)) as dag:

        @task
        def parity(partition_key: str | None = None) -> dict[str, Any]:
            from edgeloop.stages import evaluate

            return evaluate.parity(w.name, required_key(partition_key, SNAPSHOT))

        @task.short_circuit
        def gate(partition_key: str | None = None) -> dict[str, Any] | None:
            from edgeloop.stages import evaluate

            return evaluate.gate(w.name, required_key(partition_key, SNAPSHOT))

        @task
        def package(partition_key: str | None = None) -> dict[str, Any]:
            from edgeloop.stages import release

            return release.package(w.name, required_key(partition_key, SNAPSHOT))

        @task
        def sign(packaged: dict[str, Any], partition_key: str | None = None) -> dict[str, Any]:
            from edgeloop.stages import release

            return release.sign(w.name, required_key(partition_key, SNAPSHOT), packaged["digest"])

        @task(inlets=[assets.candidate], outlets=[assets.release])
        def copy(packaged: dict[str, Any], partition_key: str | None = None, outlet_events: Any = None) -> dict[str, Any]:
            from edgeloop.stages import release

            released = release.copy(w.name, required_key(partition_key, SNAPSHOT), packaged["digest"])
            outlet_events[assets.release].add_partitions(released["digest"])
            return released

        packaged = package()
        approve = ReleaseApproval(task_id="approve", workload=w.name, snapshot="{{ partition_key }}")
        chain(parity(), gate(), packaged, sign(packaged), approve, copy(packaged))
    return dag


for workload in load_all():
    globals()[workload.name] = build(workload)
