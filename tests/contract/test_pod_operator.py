"""The unmodified KubernetesPodOperator on the stand-in, and on a real cluster.

EDGELOOP_TEST_KUBECONFIG is an administrator's, EDGELOOP_TEST_IMAGE an image with Python (`registry/repository:tag`), and
EDGELOOP_TEST_REGISTRY_{USER,PASSWORD} the login of its registry, where it wants one.
"""

import contextlib
import json
import multiprocessing
import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import AirflowException, TaskDeferred
from kubernetes import client, config

from tests.include.standin.node.site import NAMESPACE, Site, wait


@dataclass(frozen=True)
class Target:
    """A cluster, and an image with Python that it runs."""

    kubeconfig: str
    image: str
    namespace: str
    pull_secret: str | None

    @property
    def core(self) -> client.CoreV1Api:
        return client.CoreV1Api(config.new_client_from_config(self.kubeconfig))

    def operator(self, name: str, text: str, **more: Any) -> KubernetesPodOperator:
        secrets = [client.V1LocalObjectReference(name=self.pull_secret)] if self.pull_secret else []
        said = {
            "image_pull_secrets": secrets,
            "get_logs": True,
            "on_finish_action": "delete_pod",
            "startup_check_interval_seconds": 1,
            "poll_interval": 0.2,
        } | more
        return KubernetesPodOperator(
            task_id=name,
            name=name,
            namespace=self.namespace,
            image=self.image,
            cmds=["python", "-c", text],
            config_file=self.kubeconfig,
            in_cluster=False,
            kubernetes_conn_id=None,
            startup_timeout_seconds=180,  # a first pull
            **said,
        )

    def pods(self, name: str) -> list[Any]:
        return list(self.core.list_namespaced_pod(self.namespace, label_selector=f"task_id={name}").items)


@pytest.fixture(scope="module", params=["stand-in", pytest.param("cluster", marks=pytest.mark.cluster)])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    if request.param == "cluster":
        if not os.environ.get("EDGELOOP_TEST_KUBECONFIG") or not os.environ.get("EDGELOOP_TEST_IMAGE"):
            pytest.skip("EDGELOOP_TEST_KUBECONFIG and EDGELOOP_TEST_IMAGE name no cluster")
        with own_namespace(os.environ["EDGELOOP_TEST_KUBECONFIG"], os.environ["EDGELOOP_TEST_IMAGE"]) as made:
            yield made
        return
    found: Site = request.getfixturevalue("site")
    yield Target(str(found.kubeconfig), found.tiny, NAMESPACE, "pull")


@contextlib.contextmanager
def own_namespace(config_file: str, image: str) -> Iterator[Target]:
    """A namespace of the real cluster that may pull the image."""
    made = Target(
        config_file, image, f"pod-operator-{uuid.uuid4().hex[:8]}", "pull" if "EDGELOOP_TEST_REGISTRY_USER" in os.environ else None
    )
    made.core.create_namespace({"metadata": {"name": made.namespace}})
    try:
        if made.pull_secret:
            login = {"username": os.environ["EDGELOOP_TEST_REGISTRY_USER"], "password": os.environ["EDGELOOP_TEST_REGISTRY_PASSWORD"]}
            logins = {"auths": {image.partition("/")[0]: login}}
            secret = {"metadata": {"name": "pull"}, "type": "kubernetes.io/dockerconfigjson"}
            made.core.create_namespaced_secret(made.namespace, secret | {"stringData": {".dockerconfigjson": json.dumps(logins)}})
        wait("the default service account", lambda: made.core.read_namespaced_service_account("default", made.namespace))
        yield made
    finally:
        made.core.delete_namespace(made.namespace)


def context(task: str) -> dict[str, Any]:
    """What the operator reads of a task's context."""
    dag = SimpleNamespace(dag_id="contract", parent_dag=None, is_subdag=False)
    ti = SimpleNamespace(
        dag_id="contract",
        task_id=task,
        run_id="manual__1",
        map_index=-1,
        try_number=1,
        xcom_push=lambda **_: None,
        task=SimpleNamespace(dag=dag),
    )
    return {
        "ti": ti,
        "task_instance": ti,
        "dag": dag,
        "run_id": "manual__1",
        "task": ti.task,
        "dag_run": SimpleNamespace(run_id="manual__1"),
    }


@contextlib.contextmanager
def clean(target: Target, name: str) -> Iterator[None]:
    try:
        yield
    finally:
        for pod in target.pods(name):
            with contextlib.suppress(client.ApiException):
                target.core.delete_namespaced_pod(pod.metadata.name, target.namespace, grace_period_seconds=0)


def test_success_shows_the_logs_and_deletes_the_pod(target: Target, capfd: pytest.CaptureFixture[str]) -> None:
    with clean(target, "good"):
        target.operator("good", "print('scored 12'); print('scored 13')").execute(context("good"))
        wait("the pod gone", lambda: not target.pods("good"))
    text = capfd.readouterr().out
    assert "scored 12" in text
    assert "scored 13" in text


def test_exit_code_3_fails_and_keeps_the_pod_where_asked(target: Target, capfd: pytest.CaptureFixture[str]) -> None:
    operator = target.operator("three", "print('the decision was no'); raise SystemExit(3)", on_finish_action="keep_pod")
    with clean(target, "three"):
        with pytest.raises(AirflowException, match="returned a failure"):
            operator.execute(context("three"))
        (pod,) = target.pods("three")
    assert pod.status.container_statuses[0].state.terminated.exit_code == 3
    assert "the decision was no" in capfd.readouterr().out


def test_on_kill_removes_the_pod(target: Target) -> None:
    operator = target.operator("killed", "import time; print('up', flush=True); time.sleep(300)", termination_grace_period=1)
    with clean(target, "killed"):
        thread = threading.Thread(target=_quiet, args=(operator, "killed"), daemon=True)
        thread.start()
        wait("the pod running", lambda: any(pod.status.phase == "Running" for pod in target.pods("killed")))
        operator.on_kill()
        wait("the pod gone", lambda: not target.pods("killed"))
        thread.join(30)
        assert not thread.is_alive()


def _quiet(operator: KubernetesPodOperator, name: str) -> None:
    with contextlib.suppress(Exception):
        operator.execute(context(name))


def execute(target: Target, name: str, text: str) -> None:
    target.operator(name, text).execute(context(name))


def test_reattach_after_the_first_process_was_killed(target: Target, capfd: pytest.CaptureFixture[str]) -> None:
    text = "import time; print('begun', flush=True); time.sleep(4); print('ended')"
    with clean(target, "again"):
        first = multiprocessing.get_context("fork").Process(target=execute, args=(target, "again", text))  # as Airflow runs tasks
        first.start()
        pod = wait("the pod running", lambda: next((p for p in target.pods("again") if p.status.phase == "Running"), None), 60)
        first.kill()
        first.join(10)
        target.operator("again", text).execute(context("again"))
        said = capfd.readouterr().out
        assert f"Found matching pod {pod.metadata.name}" in said
        assert "ended" in said


async def test_deferrable(target: Target, capfd: pytest.CaptureFixture[str]) -> None:
    operator = target.operator("deferred", "import time; time.sleep(2); print('late')", deferrable=True)
    with clean(target, "deferred"):
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context("deferred"))
        event = await anext(aiter(deferred.value.trigger.run()))
        assert event.payload["status"] == "success"
        operator.trigger_reentry(context("deferred"), event.payload)
        assert "late" in capfd.readouterr().out
        wait("the pod gone", lambda: not target.pods("deferred"))
