"""What every DAG must be, by name of the offender; and that the picture of the loop is closed."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from include.workloads import load_all

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dags(connections: Any) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(ROOT / "dags"))
    assert not bag.import_errors, bag.import_errors
    assert bag.dags, "the bag is empty: no DAG file was found"
    return dict(bag.dags)


def test_each_workload_has_every_stage(dags: dict[str, Any]) -> None:
    stages = {file.stem for file in (ROOT / "dags").glob("*.py")}
    assert set(dags) == {f"{w.name}.{stage}" for w in load_all() for stage in stages}


def test_tasks_can_be_retried_and_end(dags: dict[str, Any]) -> None:
    wrong = [
        f"{dag.dag_id}.{task.task_id}"
        for dag in dags.values()
        for task in dag.tasks
        if task.task_id != "approve" and (task.retries < 1 or task.execution_timeout is None)
    ]
    assert not wrong, f"without retries or a timeout: {wrong}"


def test_dags_say_what_they_are(dags: dict[str, Any]) -> None:
    wrong = [d.dag_id for d in dags.values() if not d.doc_md or len(d.tags) < 2 or any(t.owner in ("", "airflow") for t in d.tasks)]
    assert not wrong, f"without documentation, tags or an owner: {wrong}"
    assert all(dag.max_active_runs == 1 and dag.catchup is False for dag in dags.values())


def test_what_emits_an_asset_names_its_inlets(dags: dict[str, Any]) -> None:
    """Else the asset page's Task Dependencies view falls apart."""
    wrong = [
        f"{dag.dag_id}.{task.task_id}"
        for dag in dags.values()
        for task in dag.tasks
        if task.outlets and not task.inlets and not dag.dag_id.endswith(".ingest")
    ]
    assert not wrong, wrong


def test_the_loop_is_closed(dags: dict[str, Any]) -> None:
    """From raw data along tasks with inlets and outlets, and from published insights back to a training request."""
    edges: dict[str, set[str]] = {}
    for dag in dags.values():
        for task in dag.tasks:
            for inlet in task.inlets:
                edges.setdefault(inlet.name, set()).update(outlet.name for outlet in task.outlets)
    for w in load_all():
        seen, todo = set(), [f"{w.name}.raw"]
        while todo:
            for name in edges.get(todo.pop(), set()) - seen:
                seen.add(name)
                todo.append(name)
        stages = ("validated", "scores", "candidate", "release", "deployment", "insights", "published", "training_request")
        missing = {f"{w.name}.{stage}" for stage in stages} - seen
        assert not missing, f"not reached from raw: {missing}"
        assert f"{w.name}.candidate" in edges[f"{w.name}.training_request"], "published insights lead to no training"


def test_no_asset_is_shared_between_workloads(dags: dict[str, Any]) -> None:
    for dag in dags.values():
        workload = dag.dag_id.partition(".")[0]
        assets = [asset for task in dag.tasks for asset in (*task.inlets, *task.outlets)]
        wrong = [asset.name for asset in assets if not asset.name.startswith(f"{workload}.")]
        assert not wrong, f"{dag.dag_id} uses {wrong}"


def test_a_failed_wave_is_the_last(dags: dict[str, Any]) -> None:
    """Each wave follows the one before as a whole: nothing of it runs unless all of that succeeded, its verdict too."""
    for w in load_all():
        dag = dags[f"{w.name}.roll_out"]
        groups = sorted(name for name in dag.task_group_dict if name and name.startswith("wave_") and "." not in name)
        for before, after in itertools.pairwise(groups):
            first = dag.get_task(f"{after}.site.canary")
            assert f"{before}.verdict" in first.upstream_task_ids, f"{after} does not wait for the verdict of {before}"
        assert dag.get_task("record").trigger_rule == "all_success"
        assert f"{groups[-1]}.verdict" in dag.get_task("record").upstream_task_ids
