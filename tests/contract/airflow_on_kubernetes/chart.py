"""What the official chart 1.22 makes of helm-values/airflow, as far as Airflow's pods go: names, arguments, probes, mounts, environment.

The chart itself is not in this project. What is here was read off what it renders; the values are the files that a person installs with.
"""

import json
from pathlib import Path

import yaml

from include.settings import merged
from tests.contract.airflow_on_kubernetes.parts import (
    API_SERVER,
    COMPONENTS,
    HOME,
    LAUNCH,
    PORT,
    READ_LOGS,
    RELEASE,
    WORKER,
    Component,
    Object,
    deployment,
    probes,
    redis,
    role,
)  # fmt: skip

VALUES = Path(__file__).parents[3] / "helm-values" / "airflow"
CONFIG = f"{RELEASE}-config"
BUNDLES = [{"name": "dags-folder", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {}}]


class Chart:
    """The objects of one installation. `over`: what is said at the install beside the files."""

    def __init__(self, executor: str, namespace: str, over: Object) -> None:
        said: Object = {}
        for file in ("base", executor):
            said = merged(said, yaml.safe_load((VALUES / f"{file}.yaml").read_text(encoding="utf-8")))
        self.values = merged(said, over)
        self.namespace = namespace
        self.image = f"{self.values['defaultAirflowRepository']}:{self.values['defaultAirflowTag']}"
        self.has_workers = self.values["executor"] == "CeleryExecutor"
        self.components = (*COMPONENTS, WORKER) if self.has_workers else COMPONENTS

    def objects(self) -> list[Object]:
        """All of them, in an order that they can be created in."""
        found = [self._config_map(), self._service(), *map(self._service_account, self.components)]
        found += role("pod-launcher", LAUNCH, "scheduler") + role("pod-log-reader", READ_LOGS, "api-server")
        if self.has_workers:
            found += redis(self.values, self.values["redis"]["passwordSecretName"])
        return [*found, self._migration(), *map(self._deployment, self.components)]

    def configuration(self) -> str:
        """`airflow.cfg`: the chart's own settings, and the values' over them."""
        own = {
            "core": {
                "dags_folder": f"{HOME}/dags",
                "load_examples": "False",
                "executor": self.values["executor"],
                "execution_api_server_url": f"http://{API_SERVER}:{PORT}/execution/",
            },
            "logging": {"colored_console_log": "False"},
            "dag_processor": {"dag_bundle_config_list": json.dumps(BUNDLES)},
            "kubernetes_executor": {
                "namespace": self.namespace,
                "pod_template_file": f"{HOME}/pod_templates/pod_template_file.yaml",
            },
        }
        sections = merged(own, self.values["config"])
        return "\n".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in said.items()) for name, said in sections.items())

    def pod_template(self) -> str:
        """The values' template. It uses three expressions of the chart."""
        text = self.values["podTemplate"]
        for expression, value in {
            ".Release.Name": RELEASE,
            'include "airflow_image" .': self.image,
            'include "airflow_config" .': CONFIG,
        }.items():
            text = text.replace("{{ " + expression + " }}", value)
        assert "{{" not in text, f"the pod template uses another expression: {text}"
        return str(text)

    def _config_map(self) -> Object:
        data = {"airflow.cfg": self.configuration()}
        if not self.has_workers:
            data["pod_template_file.yaml"] = self.pod_template()
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG}, "data": data}

    def _service(self) -> Object:
        spec = {"selector": {"component": "api-server", "release": RELEASE}, "ports": [{"name": "api-server", "port": PORT}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": API_SERVER}, "spec": spec}

    def _service_account(self, component: Component) -> Object:
        token = self._said(component).get("serviceAccount", {}).get("automountServiceAccountToken", True)
        name = f"{RELEASE}-{component.name}"
        return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}, "automountServiceAccountToken": token}

    def _said(self, component: Component) -> Object:
        said: Object = self.values[component.key]
        return said["celery"] if component is WORKER else said

    def _migration(self) -> Object:
        main = {
            **self._container("run-airflow-migrations", ["bash", "-c", "exec airflow db migrate"], has_jwt=False),
            "resources": self.values["migrateDatabaseJob"]["resources"],
        }
        spec = {**self._pod([main], []), "restartPolicy": "OnFailure", "automountServiceAccountToken": False}
        metadata = {"name": f"{RELEASE}-run-airflow-migrations"}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": spec}}}

    def _deployment(self, component: Component) -> Object:
        said = self._said(component)
        args = said.get("args") or ["bash", "-c", f"exec airflow {component.says}"]
        mounts = said.get("extraVolumeMounts", [])
        wait = ["airflow", "db", "check-migrations", f"--migration-wait-timeout={self.values['images']['migrationsWaitTimeout']}"]
        first = self._container("wait-for-airflow-migrations", wait, has_jwt=False, mounts=mounts)
        main = self._container(component.name, args, component.has_jwt, mounts) | probes(component, said)
        if component.name == "scheduler" and not self.has_workers:
            main["volumeMounts"] += [_file("pod_template_file.yaml", f"{HOME}/pod_templates/pod_template_file.yaml")]
        containers = [main | {"resources": said["resources"]}]
        if groomer := said.get("logGroomerSidecar"):
            containers.append(self._groomer(component, groomer))
        spec = self._pod(containers, said.get("extraVolumes", [])) | {
            "serviceAccountName": f"{RELEASE}-{component.name}",
            "initContainers": [first | {"resources": said["resources"]}],
        }
        return deployment(component.name, {"tier": "airflow", "component": component.name, "release": RELEASE}, spec)

    def _groomer(self, component: Component, said: Object) -> Object:
        return {
            "name": f"{component.name}-log-groomer",
            "image": self.image,
            "args": ["bash", "/clean-logs"],
            "env": [
                {"name": "AIRFLOW_HOME", "value": HOME},
                {"name": "AIRFLOW__LOG_RETENTION_DAYS", "value": str(said["retentionDays"])},
                {"name": "AIRFLOW__LOG_RETENTION_MINUTES", "value": "0"},
                {"name": "AIRFLOW__LOG_CLEANUP_FREQUENCY_MINUTES", "value": "15"},
            ],
            "securityContext": self.values["securityContexts"]["containers"],
            "volumeMounts": [{"name": "logs", "mountPath": f"{HOME}/logs"}, *self.values["volumeMounts"]],
            "resources": said["resources"],
        }

    def _container(self, name: str, args: list[str], has_jwt: bool, mounts: list[Object] | None = None) -> Object:
        return {
            "name": name,
            "image": self.image,
            "args": args,
            "env": self._environment(has_jwt),
            "securityContext": self.values["securityContexts"]["containers"],
            "volumeMounts": [
                {"name": "logs", "mountPath": f"{HOME}/logs"},
                _file("airflow.cfg", f"{HOME}/airflow.cfg"),
                *self.values["volumeMounts"],
                *(mounts or []),
            ],
        }

    def _environment(self, has_jwt: bool) -> list[Object]:
        secrets = {
            "AIRFLOW__CORE__FERNET_KEY": (self.values["fernetKeySecretName"], "fernet-key"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": (self.values["data"]["metadataSecretName"], "connection"),
            "AIRFLOW__API__SECRET_KEY": (self.values["apiSecretKeySecretName"], "api-secret-key"),
        }
        if has_jwt:
            secrets["AIRFLOW__API_AUTH__JWT_SECRET"] = (self.values["jwtSecretName"], "jwt-secret")
        if self.has_workers:
            secrets["AIRFLOW__CELERY__BROKER_URL"] = (self.values["data"]["brokerUrlSecretName"], "connection")
        found = [*self.values["env"], {"name": "AIRFLOW_HOME", "value": HOME}]
        for variable, (name, key) in secrets.items():
            found.append({"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}})
        return found

    def _pod(self, containers: list[Object], volumes: list[Object]) -> Object:
        return {
            "containers": containers,
            "securityContext": self.values["securityContexts"]["pod"],
            "imagePullSecrets": [{"name": name} for name in self.values["imagePullSecrets"]],
            "enableServiceLinks": self.values["enableServiceLinks"],
            "volumes": [
                {"name": "config", "configMap": {"name": CONFIG}},
                {"name": "logs", "emptyDir": {}},
                *self.values["volumes"],
                *volumes,
            ],
        }


def _file(key: str, path: str) -> Object:
    return {"name": "config", "mountPath": path, "subPath": key, "readOnly": True}
