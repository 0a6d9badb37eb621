"""The rollout's steps as pods on the stand-in's cluster, from the rollout image of the release registry."""

import contextlib
import json
import os
import threading
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from airflow.sdk.exceptions import AirflowException
from kubernetes import client

from edgeloop.exceptions import ConnectionIncomplete, ServiceError
from edgeloop.hooks.site import SiteHook
from edgeloop.operators.site_pod import SitePodOperator
from include.domain.rollout import Verdict
from include.standin import connections
from include.standin.home import Home, free_port_base
from include.standin.kubernetes import kubeconfig
from include.standin.serving import client_context
from tests.include.rollout.conftest import bench, embedded_site, first, standin_bench  # noqa: F401 - fixtures
from tests.include.rollout.site import NAMESPACE, WORKLOAD, Bench
from tests.include.standin.node.site import wait


@pytest.fixture(autouse=True)
def _connections(embedded_site: Home, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Airflow's own service account on the site, which may start pods and no more."""
    said = connections.connections(embedded_site)
    account = kubeconfig.write_service_account(embedded_site, "north", NAMESPACE, "edgeloop-airflow")
    said["edgeloop_site_north"]["extra"]["kube_config"] = account.read_text()
    for name in ("edgeloop_site_north", "edgeloop_releases"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(said[name]))


def operator(site: Bench, step: str, release: str, **values: Any) -> SitePodOperator:
    text = yaml.safe_dump({**site.values, **values})
    return SitePodOperator(task_id=step, step=step, workload=WORKLOAD, site="north", release=release, values=text)


def context(task: str, run: str) -> Any:
    dag = SimpleNamespace(dag_id="rollout", parent_dag=None, is_subdag=False)
    ti = SimpleNamespace(dag_id="rollout", task_id=task, run_id=run, map_index=0, try_number=1, xcom_push=lambda **_: None)
    ti.task = SimpleNamespace(dag=dag)
    return {"ti": ti, "task_instance": ti, "dag": dag, "run_id": run, "task": ti.task, "dag_run": SimpleNamespace(run_id=run)}


def pods(site: Bench, step: str) -> list[Any]:
    return list(site.core.list_namespaced_pod(NAMESPACE, label_selector=f"edgeloop.io/step={step}").items)


@pytest.fixture(autouse=True)
def _no_pods(bench: Bench):  # noqa: F811
    yield
    for step in ("canary", "judge", "finish", "roll-back"):
        for pod in pods(bench, step):
            with contextlib.suppress(client.ApiException):
                bench.core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)


def test_three_pods_bring_a_release(bench: Bench, first: str, capfd: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    for step in ("canary", "judge", "finish"):
        operator(bench, step, first).execute(context(step, "manual__1"))
        assert pods(bench, step) == [], "a pod that succeeded is removed"
    assert (bench.state.verdict, bench.state.reasons) == (Verdict.SUCCESSFUL, ())
    assert bench.served() == first.rpartition("@")[2]
    assert "north: Successful" in capfd.readouterr().out, "the pod's log is the task's log"


def test_a_step_that_breaks_fails_the_task_and_keeps_its_pod(bench: Bench) -> None:  # noqa: F811
    with pytest.raises(AirflowException, match="returned a failure"):
        operator(bench, "canary", "no image").execute(context("canary", "manual__2"))
    (pod,) = pods(bench, "canary")
    assert pod.status.container_statuses[0].state.terminated.exit_code == 2
    spec = pod.spec
    assert (spec.service_account_name, spec.active_deadline_seconds) == ("edgeloop-rollout", 1200)
    assert spec.containers[0].security_context.read_only_root_filesystem


def test_on_kill_removes_the_pod(bench: Bench, first: str) -> None:  # noqa: F811
    killed = operator(bench, "canary", first)

    def run() -> None:
        with contextlib.suppress(Exception):
            killed.execute(context("canary", "manual__3"))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait("the pod running", lambda: any(pod.status.phase == "Running" for pod in pods(bench, "canary")), 60)
    killed.on_kill()
    wait("the pod gone", lambda: not pods(bench, "canary"), 40)
    thread.join(40)
    assert not thread.is_alive()


def test_on_kill_before_there_is_a_pod(bench: Bench, first: str) -> None:  # noqa: F811
    operator(bench, "canary", first).on_kill()


def test_a_retry_finds_the_pod_of_the_try_that_was_lost(bench: Bench, first: str, capfd: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    """The worker dies after it has started the pod: the next try waits for this one, and starts no other."""
    lost = operator(bench, "canary", first)
    pod = lost.pod.get_or_create_pod(
        pod_request_obj=lost.pod.build_pod_request_obj(context("canary", "manual__4")), context=context("canary", "manual__4")
    )
    operator(bench, "canary", first).execute(context("canary", "manual__4"))
    assert f"Found matching pod {pod.metadata.name}" in capfd.readouterr().out
    assert bench.state.release == first


def test_a_connection_without_the_image_says_so(bench: Bench, first: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("AIRFLOW_CONN_EDGELOOP_RELEASES", json.dumps({"conn_type": "generic", "host": "https://r:1"}))
    with pytest.raises(ConnectionIncomplete, match="Connection edgeloop_releases lacks 'rollout_image'"):
        operator(bench, "canary", first).execute(context("canary", "manual__5"))


def test_a_cluster_that_is_away_is_named_with_the_next_step(bench: Bench, first: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    said = json.loads(os.environ["AIRFLOW_CONN_EDGELOOP_SITE_NORTH"])
    away = yaml.safe_load(said["extra"]["kube_config"])
    away["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{free_port_base(1)}"
    said["extra"]["kube_config"] = json.dumps(away)
    monkeypatch.setenv("AIRFLOW_CONN_EDGELOOP_SITE_NORTH", json.dumps(said))
    monkeypatch.setenv("AIRFLOW__WORKERS__API_RETRIES", "1")
    with pytest.raises(ServiceError, match=r"cluster of site north does not answer: check its link.*edgeloop_site_north"):
        operator(bench, "canary", first).execute(context("canary", "manual__away"))
    with pytest.raises(ServiceError, match="cluster of site north does not answer"):
        SiteHook("north").rollout_state(WORKLOAD)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_api_server_is_asked_again(bench: Bench, first: str, embedded_site: Home, status: int) -> None:  # noqa: F811
    fault = {"path": "/api/v1/namespaces/.*/pods", "status": status, "headers": {"Retry-After": "0"}, "count": 2}
    told = httpx.put(f"{embedded_site.url('kubernetes-north')}/_faults", json=fault, verify=client_context(embedded_site))
    assert told.is_success, told.text
    operator(bench, "canary", first).execute(context("canary", f"manual__busy_{status}"))
    assert bench.state.step == "canary"
