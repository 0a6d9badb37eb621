"""The parts of the official chart 1.22 that are the same whatever its values say: components, their probes, roles, Redis."""

from dataclasses import dataclass
from typing import Any

RELEASE = "airflow"
HOME = "/opt/airflow"
API_SERVER = f"{RELEASE}-api-server"
PORT = 8080
LAUNCH = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "list", "get", "patch", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"]},
]
READ_LOGS = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "get", "watch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get", "list"]},
]
PING = [
    "sh",
    "-c",
    "CONNECTION_CHECK_MAX_COUNT=0 exec /entrypoint python -m celery "
    "--app airflow.providers.celery.executors.celery_executor.app inspect ping "
    "-d celery@$(python -c 'import socket; print(socket.gethostname())')",
]
Object = dict[str, Any]


@dataclass(frozen=True)
class Component:
    """A Deployment of the chart."""

    name: str
    key: str
    """Of the values."""
    job: str | None = None
    """What `airflow jobs check` looks for; None: it is asked in a way of its own."""
    has_jwt: bool = False
    command: str = ""
    """Of `airflow`, where it is not the name."""

    @property
    def says(self) -> str:
        return self.command or self.name


COMPONENTS = (
    Component("api-server", "apiServer", has_jwt=True),
    Component("scheduler", "scheduler", "SchedulerJob", has_jwt=True),
    Component("dag-processor", "dagProcessor", "DagProcessorJob"),
    Component("triggerer", "triggerer", "TriggererJob"),
)
WORKER = Component("worker", "workers", command="celery worker")


def probes(component: Component, said: Object) -> Object:
    """Startup, liveness and readiness probe of a component: the chart's defaults, and the values' over them."""
    live = {"initialDelaySeconds": 10, "timeoutSeconds": 20, "failureThreshold": 5, "periodSeconds": 60}
    start = {"timeoutSeconds": 20, "failureThreshold": 6, "periodSeconds": 10} | said.get("startupProbe", {})
    run = {"exec": {"command": PING if component is WORKER else check(str(component.job))}}
    if component.name == "api-server":
        asked = {"httpGet": {"path": "/api/v2/monitor/health", "port": PORT}}
        ready = {"initialDelaySeconds": 15, "timeoutSeconds": 5, "failureThreshold": 5, "periodSeconds": 10}
        found = {"startupProbe": start, "livenessProbe": ready, "readinessProbe": ready}
        return {name: asked | probe for name, probe in found.items()}
    found = {"livenessProbe": run | live | said.get("livenessProbe", {})}
    return found | ({"startupProbe": run | start} if component.name == "scheduler" else {})


def check(job: str) -> list[str]:
    """The chart's command of a probe."""
    variables = "CONNECTION_CHECK_MAX_COUNT=0 AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR"
    return ["sh", "-c", f"{variables} exec /entrypoint \\\nairflow jobs check --job-type {job} --local\n"]


def role(name: str, rules: list[Object], component: str) -> list[Object]:
    group = "rbac.authorization.k8s.io"
    binding = {
        "roleRef": {"apiGroup": group, "kind": "Role", "name": f"{RELEASE}-{name}-role"},
        "subjects": [{"kind": "ServiceAccount", "name": f"{RELEASE}-{component}"}],
    }
    return [
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": f"{RELEASE}-{name}-role"}, "rules": rules},
        {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": f"{RELEASE}-{name}-rolebinding"}, **binding},
    ]


def redis(values: Object, secret: str) -> list[Object]:
    """The chart's Redis, which the queue is in."""
    said = values["redis"]
    labels = {"tier": "airflow", "component": "redis", "release": RELEASE}
    container = {
        "name": "redis",
        "image": f"{values['images']['redis']['repository']}:{values['images']['redis']['tag']}",
        "command": ["redis-server"],
        "args": ["--requirepass", "$(REDIS_PASSWORD)"],
        "env": [{"name": "REDIS_PASSWORD", "valueFrom": {"secretKeyRef": {"name": secret, "key": "password"}}}],
        "securityContext": said["securityContexts"]["container"],
        "resources": said["resources"],
        "volumeMounts": [{"name": "redis-db", "mountPath": "/data"}],
    }
    pod = {
        "containers": [container],
        "securityContext": said["securityContexts"]["pod"],
        "imagePullSecrets": [{"name": name} for name in values["imagePullSecrets"]],
        "terminationGracePeriodSeconds": said["terminationGracePeriodSeconds"],
        "volumes": [{"name": "redis-db", "emptyDir": {}}],
    }
    service = {"selector": labels, "ports": [{"name": "redis-db", "port": 6379}]}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"{RELEASE}-redis"}, "spec": service},
        deployment("redis", labels, pod),
    ]


def deployment(name: str, labels: dict[str, str], pod: Object) -> Object:
    """A Deployment of one pod."""
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": f"{RELEASE}-{name}"}, "spec": spec}
