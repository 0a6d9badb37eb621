"""The Airflow image on a real Kubernetes, installed as the official chart does it with the values of helm-values/airflow.

EDGELOOP_TEST_KUBECONFIG (an administrator's) and EDGELOOP_TEST_KUBECTL name the cluster; EDGELOOP_TEST_AIRFLOW_IMAGE,
EDGELOOP_TEST_POSTGRES_IMAGE and, for Celery, EDGELOOP_TEST_REDIS_IMAGE (`registry/repository:tag`) what runs on it;
EDGELOOP_TEST_REGISTRY_USER and EDGELOOP_TEST_REGISTRY_PASSWORD the registry's login.
EDGELOOP_TEST_HOST_ADDRESS is this machine's address for pods: Data Factory and the storage that they talk to run here.
EDGELOOP_TEST_AIRFLOW_CHART, if set, is the chart itself (folder or archive), for `helm install`; without it, what it makes is made here.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from include.demo.api import Run
from include.settings import ROOT
from tests.contract.airflow_on_kubernetes.cloud import CONTAINER, FIRST, LAST, cloud, slow_down
from tests.contract.airflow_on_kubernetes.cluster import Cluster, until
from tests.contract.airflow_on_kubernetes.installation import CELERY, COMPONENT_PODS, NAMESPACE, Images, Installation, installed
from tests.contract.airflow_on_kubernetes.parts import COMPONENTS, PING, check

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]
NAMED = ("KUBECONFIG", "KUBECTL", "AIRFLOW_IMAGE", "POSTGRES_IMAGE", "REGISTRY_USER", "REGISTRY_PASSWORD", "HOST_ADDRESS")
DAG = "wind_power.ingest"
TASK_PODS = "kubernetes_executor=True"
WITHIN = 180.0
"""Seconds for a DAG run; 40 on a quiet machine."""


@pytest.fixture(scope="module")
def airflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    executor: str = request.param
    named = (*NAMED, "REDIS_IMAGE") if executor == CELERY else NAMED
    said = {name: os.environ.get(f"EDGELOOP_TEST_{name}", "") for name in (*NAMED, "REDIS_IMAGE")}
    if missing := [f"EDGELOOP_TEST_{name}" for name in named if not said[name]]:
        pytest.skip(f"{', '.join(missing)} not set")
    images = Images(*(said[name] for name in ("AIRFLOW_IMAGE", "POSTGRES_IMAGE", "REDIS_IMAGE", "REGISTRY_USER", "REGISTRY_PASSWORD")))
    cluster = Cluster(said["KUBECONFIG"], said["KUBECTL"])
    chart = os.environ.get("EDGELOOP_TEST_AIRFLOW_CHART", "")
    with (
        cloud(tmp_path_factory.mktemp("cloud"), said["HOST_ADDRESS"]) as home,
        installed(home, cluster, images, executor, chart) as found,
    ):
        yield found


with_pods = pytest.mark.parametrize("airflow", ["kubernetes-executor"], indirect=True)
with_workers = pytest.mark.parametrize("airflow", [CELERY], indirect=True)


def finished(airflow: Installation, window: tuple[str, str]) -> Run:
    """A run of the DAG for the window's days, when it has ended."""
    until(lambda: DAG in airflow.api.known(), f"{DAG} read", WITHIN)
    airflow.api.unpause(DAG)
    run = airflow.api.trigger(DAG, {"window_start": window[0], "window_end": window[1]})
    told = lambda: f"{airflow.api.failure(run)}\n{airflow.cluster.describe(NAMESPACE)}"  # noqa: E731
    until(lambda: airflow.api.run(run).finished, "the run ended", WITHIN, told)
    return airflow.api.run(run)


@with_pods
def test_every_component_passes_the_charts_probe_and_reads_every_dag(airflow: Installation) -> None:
    pods = {pod.metadata.labels["component"]: pod for pod in airflow.cluster.pods(NAMESPACE, COMPONENT_PODS)}
    for component in COMPONENTS:
        assert all(status.restart_count == 0 for status in pods[component.name].status.container_statuses)
        if component.job:
            code, said = airflow.cluster.execute(NAMESPACE, pods[component.name].metadata.name, component.name, check(component.job))
            assert code == 0, said
    stages = {f"wind_power.{file.stem}" for file in (ROOT / "dags").glob("*.py")}
    until(lambda: stages <= airflow.api.known() or airflow.api.import_errors(), "every DAG read", WITHIN)
    assert airflow.api.import_errors() == []


@with_pods
def test_a_run_succeeds_with_its_tasks_as_pods_and_leaves_its_logs(airflow: Installation) -> None:
    version = airflow.cluster.version(NAMESPACE)
    slow_down(airflow.home, 6)
    run = finished(airflow, (FIRST.isoformat(), LAST.isoformat()))
    assert run.state == "success", airflow.api.failure(run)
    pods = airflow.cluster.seen_since(NAMESPACE, version, f"{TASK_PODS},dag_id={DAG}")
    tasks = sorted(pod.metadata.labels["task_id"] for pod in pods.values())
    assert tasks == ["copy"] * 4 + ["land", "plan"], "each site's copy waits in the triggerer, without a pod"
    until(lambda: not airflow.cluster.pods(NAMESPACE, f"{TASK_PODS},dag_id={DAG}"), "the task pods gone", 60)
    assert airflow.api.result(run, "land")["partitions"] == 6
    for task in airflow.api.tasks(run):
        assert f"/{CONTAINER}/airflow/dag_id={DAG}/" in airflow.api.log(run, task), f"{task['task_id']}: not read from the container"


@with_pods
def test_a_task_gets_the_connections_and_no_secret_of_airflows_own(airflow: Installation) -> None:
    version = airflow.cluster.version(NAMESPACE)
    run = finished(airflow, ("2014-01-08", "2014-01-06"))
    assert run.state == "failed"
    pod: Any = next(iter(airflow.cluster.seen_since(NAMESPACE, version, f"{TASK_PODS},dag_id={DAG}").values()))
    container = pod.spec.containers[0]
    assert {variable.name for variable in container.env} == {"AIRFLOW_IS_K8S_EXECUTOR_POD"}
    assert {volume.secret.secret_name for volume in pod.spec.volumes if volume.secret} == {"edgeloop-connections"}
    assert not any("serviceaccount" in mount.mount_path for mount in container.volume_mounts)
    (task,) = [task for task in airflow.api.tasks(run) if task["state"] == "failed"]
    assert "2014-01-08" in airflow.api.log(run, task)


@with_workers
def test_a_run_succeeds_in_a_celery_worker_and_leaves_its_logs(airflow: Installation) -> None:
    run = finished(airflow, (FIRST.isoformat(), LAST.isoformat()))
    assert run.state == "success", airflow.api.failure(run)
    assert airflow.api.result(run, "land")["partitions"] == 6
    (worker,) = airflow.cluster.pods(NAMESPACE, "component=worker")
    code, said = airflow.cluster.execute(NAMESPACE, worker.metadata.name, "worker", PING)
    assert code == 0, said
    for task in airflow.api.tasks(run):
        assert task["hostname"] == worker.status.pod_ip
        assert f"/{CONTAINER}/airflow/dag_id={DAG}/" in airflow.api.log(run, task)
