"""Airflow on a cluster, as a person installs it: Secrets, then the chart's objects; and its REST API, which the UI reads too."""

import base64
import contextlib
import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from include.demo.api import AirflowApi, Run
from include.standin.home import Home
from tests.contract.airflow_on_kubernetes.chart import VALUES, Chart
from tests.contract.airflow_on_kubernetes.cloud import connections_file
from tests.contract.airflow_on_kubernetes.cluster import RESTRICTED, Cluster, until
from tests.contract.airflow_on_kubernetes.parts import API_SERVER, COMPONENTS, HOME, PORT, RELEASE

NAMESPACE = "edgeloop-airflow-test"
DATABASE = f"{NAMESPACE}-database"
"""Its image starts as root, so it has a namespace of its own: that of Airflow is `restricted`."""
PULL = "edgeloop-airflow-pull"
CELERY = "celery-executor"
COMPONENT_PODS = "component,component!=run-airflow-migrations,!kubernetes_executor"
WITHIN = 400.0
"""Seconds to all pods ready on a node that has to pull the images first; 60 when they are there."""


@dataclass(frozen=True)
class Images:
    """What runs, and the registry that it is pulled from."""

    airflow: str
    postgres: str
    redis: str
    user: str
    password: str

    @property
    def registry(self) -> str:
        return self.airflow.partition("/")[0]

    def values(self) -> dict[str, Any]:
        """What is said of images at the install."""
        repository, _, tag = self.airflow.rpartition(":")
        redis, _, redis_tag = self.redis.rpartition(":")
        said = {"defaultAirflowRepository": repository, "defaultAirflowTag": tag}
        return said | ({"images": {"redis": {"repository": redis, "tag": redis_tag}}} if redis else {})


class Api(AirflowApi):
    """Airflow's REST API, as far as the tests go beyond the demo."""

    def unpause(self, dag: str) -> None:
        self._call("PATCH", f"/dags/{dag}", json={"is_paused": False})

    def known(self) -> set[str]:
        """Ids of the DAGs that were read, paused or not."""
        return {dag["dag_id"] for dag in self._call("GET", "/dags", params={"limit": 100})["dags"]}

    def healthy(self) -> bool:
        said = self._call("GET", "/monitor/health")
        return all(found["status"] == "healthy" for found in said.values())

    def log(self, run: Run, task: dict[str, Any]) -> str:
        """A task's log, as the UI gets it."""
        path = f"/dags/{run.dag}/dagRuns/{run.id}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        return json.dumps(self._call("GET", path, params={"map_index": task["map_index"], "full_content": True})["content"])


@dataclass(frozen=True)
class Installation:
    """A running Airflow, and the cloud that its Connections lead to."""

    home: Home
    cluster: Cluster
    api: Api


@contextlib.contextmanager
def installed(home: Home, cluster: Cluster, images: Images, executor: str, chart: str) -> Iterator[Installation]:
    """Database and Airflow in fresh namespaces, ready. `chart`: the official one, or empty."""
    with cluster.namespace(DATABASE, {}), cluster.namespace(NAMESPACE, RESTRICTED):
        for namespace in (DATABASE, NAMESPACE):
            cluster.pull_secret(namespace, PULL, images.registry, images.user, images.password)
        password, login = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        _database(cluster, images.postgres, password)
        _secrets(home, cluster, password, login)
        over = images.values() | {
            "env": [{"name": "PGSSLMODE", "value": "prefer"}],  # this database speaks no TLS
            "workers": {"celery": {"replicas": 1}},
        }
        if chart:
            _helm(chart, cluster.kubeconfig, executor, over)
        else:
            cluster.create(NAMESPACE, *Chart(executor, NAMESPACE, over).objects())
        least = len(COMPONENTS) + (2 if executor == CELERY else 0)  # a worker, Redis
        until(lambda: _ready(cluster, NAMESPACE, COMPONENT_PODS, least), "all pods ready", WITHIN, lambda: cluster.describe(NAMESPACE))
        with cluster.forwarded(NAMESPACE, API_SERVER, PORT) as url:
            api = Api(url, "admin", login)
            until(api.healthy, "Airflow healthy", 60, lambda: cluster.describe(NAMESPACE))
            yield Installation(home, cluster, api)


def _helm(chart: str, kubeconfig: str, executor: str, over: dict[str, Any]) -> None:
    files = [word for name in ("base", executor) for word in ("-f", str(VALUES / f"{name}.yaml"))]
    command = ["helm", "install", RELEASE, chart, "--kubeconfig", kubeconfig, "--namespace", NAMESPACE, *files, "-f", "-"]
    done = subprocess.run(command, input=yaml.safe_dump(over), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _secrets(home: Home, cluster: Cluster, password: str, login: str) -> None:
    """The Secrets of docs/airflow-on-kubernetes.md."""
    url = f"postgresql+psycopg://airflow:{password}@postgres.{DATABASE}.svc/airflow"
    cluster.secret(NAMESPACE, "edgeloop-airflow-database", {"connection": url})
    keys = {"fernet-key": base64.urlsafe_b64encode(os.urandom(32)).decode()}
    keys |= {name: secrets.token_hex(64) for name in ("jwt-secret", "api-secret-key")}
    cluster.secret(NAMESPACE, "edgeloop-airflow-keys", keys)
    cluster.secret(NAMESPACE, "edgeloop-airflow-login", {"passwords.json": json.dumps({"admin": login})})
    files = {"connections.json": connections_file(home, f"{HOME}/connections/ca.pem"), "ca.pem": home.ca.read_text(encoding="utf-8")}
    cluster.secret(NAMESPACE, "edgeloop-connections", files)
    broker = secrets.token_urlsafe(16)
    url = f"redis://:{broker}@{RELEASE}-redis:6379/0"
    cluster.secret(NAMESPACE, "edgeloop-airflow-broker", {"password": broker, "connection": url})


def _database(cluster: Cluster, image: str, password: str) -> None:
    cluster.secret(DATABASE, "postgres", {"password": password})
    container = {
        "name": "postgres",
        "image": image,
        "env": [
            {"name": "POSTGRES_USER", "value": "airflow"},
            {"name": "POSTGRES_DB", "value": "airflow"},
            {"name": "POSTGRES_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "postgres", "key": "password"}}},
        ],
        "startupProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}, "periodSeconds": 1, "failureThreshold": 300},
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
    }
    pod = {
        "containers": [container],
        "imagePullSecrets": [{"name": PULL}],
        "terminationGracePeriodSeconds": 1,
        "volumes": [{"name": "data", "emptyDir": {"medium": "Memory"}}],  # a busy disk makes initdb a matter of minutes
    }
    metadata = {"name": "postgres", "labels": {"app": "postgres"}}
    service = {"selector": {"app": "postgres"}, "ports": [{"port": 5432}]}
    cluster.create(
        DATABASE,
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "postgres"}, "spec": service},
    )
    until(lambda: _ready(cluster, DATABASE, "app=postgres", 1), "the database ready", WITHIN, lambda: cluster.describe(DATABASE))


def _ready(cluster: Cluster, namespace: str, selector: str, least: int) -> bool:
    """Every container of at least so many pods."""
    statuses = [pod.status.container_statuses or [] for pod in cluster.pods(namespace, selector)]
    return len(statuses) >= least and all(found and all(status.ready for status in found) for found in statuses)
