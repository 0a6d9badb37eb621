"""One step of a rollout as a pod on the site's own cluster: KubernetesPodOperator, told what every rollout pod has in common."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseOperator, Context
from airflow.sdk.bases.operator import ExecutorSafeguard

from edgeloop.exceptions import ConnectionIncomplete
from edgeloop.hooks.site import SiteHook
from include.domain import naming
from include.settings import RELEASES, site_cluster

if TYPE_CHECKING:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

STARTUP_SECONDS = 180
"""How long a site may take to pull the rollout image and start the pod."""
DEADLINE_SECONDS = 1200
"""After which the site's cluster ends the pod, also when Airflow is gone: two waits for a scorer, and the answers of a slow one."""


class SitePodOperator(BaseOperator):
    """Runs `include.rollout <step>` for one workload and release on one site.

    The pod operator is made when the task runs: its import takes a second, which no DAG file has.

    :param step: `canary`, `judge`, `finish` or `roll-back`.
    :param site: the site's name; its Connection names cluster and namespace.
    :param release: image by digest, `registry/repository@sha256:...` (templated).
    :param values: the site's Helm values as YAML.
    """

    template_fields: Sequence[str] = ("site", "release", "values")
    custom_operator_name = "KubernetesPodOperator"

    def __init__(self, *, step: str, workload: str, site: str, release: str, values: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step
        self.workload = workload
        self.site = site
        self.release = release
        self.values = values

    def execute(self, context: Context) -> None:
        """Run the pod to its end; its log is the task's log."""
        # The safeguard tells operators that run in the task runner from ones called by hand; this call is the former.
        with SiteHook(self.site).reached():
            self.pod.execute(context, KubernetesPodOperator__sentinel=ExecutorSafeguard.sentinel_value)

    def on_kill(self) -> None:
        """Remove the pod."""
        self.pod.on_kill()

    @cached_property
    def pod(self) -> "KubernetesPodOperator":
        """The operator that does it."""
        from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
        from kubernetes.client import models as k8s

        site = SiteHook(self.site)
        namespace = site.namespace
        return KubernetesPodOperator(
            task_id=self.task_id,
            kubernetes_conn_id=site_cluster(self.site),
            namespace=namespace,
            name=f"{naming.dns_name(self.workload)}-{self.step}",
            image=self.image(),
            arguments=[self.step],
            env_vars={
                "EDGELOOP_WORKLOAD": self.workload,
                "EDGELOOP_SITE": self.site,
                "EDGELOOP_RELEASE": self.release,
                "EDGELOOP_VALUES": site.scoring_values(self.values),
                "EDGELOOP_NAMESPACE": namespace,
            },
            labels={"app.kubernetes.io/part-of": "edgeloop", "edgeloop.io/step": self.step},
            service_account_name="edgeloop-rollout",
            image_pull_secrets=[k8s.V1LocalObjectReference(name="edgeloop-pull")],
            security_context={"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
            container_security_context={
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            container_resources=k8s.V1ResourceRequirements(requests={"cpu": "50m", "memory": "128Mi"}, limits={"memory": "512Mi"}),
            volumes=[k8s.V1Volume(name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit="64Mi"))],
            volume_mounts=[k8s.V1VolumeMount(name="tmp", mount_path="/tmp")],  # noqa: S108 the root is read-only
            active_deadline_seconds=DEADLINE_SECONDS,
            startup_timeout_seconds=STARTUP_SECONDS,
            startup_check_interval_seconds=1,
            on_finish_action="delete_succeeded_pod",
            log_pod_spec_on_failure=False,
            do_xcom_push=False,
        )

    def image(self) -> str:
        """The rollout program's image, in the registry that the site pulls from."""
        registry = BaseHook.get_connection(RELEASES)
        image = registry.extra_dejson.get("rollout_image")
        if not image:
            raise ConnectionIncomplete(RELEASES, "lacks 'rollout_image' in its extra")
        return f"{registry.host.removeprefix('https://').rstrip('/')}/{image}"
