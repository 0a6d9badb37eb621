"""What the tests of the node share: tiny images, the agent as a process, and the Kubernetes client."""

import base64
import contextlib
import hashlib
import io
import json
import os
import platform
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import urllib3
import yaml
from kubernetes import client, config

from include.standin.home import Home

ROOT = Path(__file__).parents[4]
NAMESPACE = "edge"
T = TypeVar("T")
NOTHING = client.V1ContainerStatus(
    name="main", image="", image_id="", ready=False, restart_count=0, state=client.V1ContainerState(), last_state=client.V1ContainerState()
)

SERVER = Path(__file__).with_name("tiny_server.py").read_bytes()


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def layer(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def stub(**changes: Any) -> bytes:
    return layer({"runtime.json": json.dumps({"python": platform.python_version(), "packages": {}} | changes).encode()})


class Pusher:
    """Pushes images to the release registry of a home."""

    def __init__(self, home: Home) -> None:
        self.host = f"127.0.0.1:{home.port('releases')}"
        login = (home.identity.registry_user, home.identity.registry_password)
        self.http = httpx.Client(base_url=f"https://{self.host}", auth=login, verify=str(home.ca), timeout=30)
        token = base64.b64encode(":".join(login).encode()).decode()
        self.dockerconfigjson = json.dumps({"auths": {self.host: {"auth": token}}})

    def blob(self, repository: str, content: bytes) -> dict[str, Any]:
        place = self.http.post(f"/v2/{repository}/blobs/uploads/")
        assert place.status_code == 202, place.text
        done = self.http.put(place.headers["Location"], params={"digest": digest(content)}, content=content)
        assert done.status_code == 201, done.text
        return {"mediaType": "application/octet-stream", "digest": digest(content), "size": len(content)}

    def image(
        self, layers: list[bytes], tag: str | None = None, runtime: str | None = "1", repository: str = "tests/tiny", **said: Any
    ) -> str:
        """Push an image; gives `host/repository@digest`."""
        labels = {} if runtime is None else {"edgeloop.runtime": runtime}
        settings = {"Entrypoint": ["python", "/app/server.py"], "Env": ["MODEL_DIR=/model", "PATH=/usr/bin"], "Labels": labels} | said
        configuration = json.dumps(
            {"architecture": "amd64", "os": "linux", "config": settings, "rootfs": {"type": "layers", "diff_ids": []}}
        )
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.blob(repository, configuration.encode()) | {"mediaType": "application/vnd.oci.image.config.v1+json"},
            "layers": [self.blob(repository, one) | {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"} for one in layers],
        }
        content = json.dumps(manifest).encode()
        answer = self.http.put(
            f"/v2/{repository}/manifests/{tag or digest(content)}", content=content, headers={"Content-Type": manifest["mediaType"]}
        )
        assert answer.status_code == 201, answer.text
        return f"{self.host}/{repository}@{digest(content)}"


def wait(what: str, ask: Callable[[], T | None], seconds: float = 30) -> T:
    """Ask until there is an answer."""
    until, last = time.monotonic() + seconds, None
    while time.monotonic() < until:
        try:
            if answer := ask():
                return answer
        except (AssertionError, httpx.HTTPError, client.ApiException, urllib3.exceptions.HTTPError, LookupError) as error:
            last = error
        time.sleep(0.05)
    raise TimeoutError(f"{what}: not within {seconds} s") from last


class Site:
    """One site: its API, its node agent."""

    def __init__(self, home: Home, name: str, kubeconfig: Path) -> None:
        self.home, self.name, self.kubeconfig = home, name, kubeconfig
        self.api = config.new_client_from_config(str(kubeconfig))
        self.core, self.apps = client.CoreV1Api(self.api), client.AppsV1Api(self.api)
        self.push = Pusher(home)
        self.agent: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        code = "from include.standin.home import Home; from include.standin import node; "
        code += f"node.run(Home.create({str(self.home.path)!r}), {self.name!r})"
        with (self.home.folder("logs") / f"node-{self.name}.log").open("ab") as out:
            self.agent = subprocess.Popen(
                [sys.executable, "-c", code], cwd=ROOT, stdout=out, stderr=out, env=dict(os.environ) | {"SECRET_OF_AGENT": "x"}
            )
        wait("the node agent", self.healthy)

    def healthy(self) -> bool:
        return httpx.get(f"https://127.0.0.1:{self.home.port(f'node-{self.name}')}/_health", verify=str(self.home.ca)).status_code == 200

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.agent is not None:
            self.agent.send_signal(number)
            self.agent.wait(10)
            self.agent = None

    def tear_down(self) -> None:
        """Stop the agent and everything that carries this home; what a test left is not an error, what then lives is."""
        self.stop()
        for process in carriers(self.home.path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        wait("the end of all processes", lambda: not carriers(self.home.path))
        self.api.close()

    def set_up(self) -> None:
        wait("the API server", lambda: self.core.list_namespace().items)
        self.core.create_namespace({"metadata": {"name": NAMESPACE}})
        wait("the default service account", lambda: self.core.read_namespaced_service_account("default", NAMESPACE))
        self.secret("pull", {".dockerconfigjson": self.push.dockerconfigjson}, "kubernetes.io/dockerconfigjson")

    def secret(self, name: str, data: dict[str, str], kind: str = "Opaque") -> None:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self.core.create_namespaced_secret(NAMESPACE, {"metadata": {"name": name}, "type": kind, "data": encoded})

    def pod(
        self, name: str, image: str, *, spec: dict[str, Any] | None = None, labels: dict[str, str] | None = None, **container: Any
    ) -> None:
        """Create a pod of one container `main`, which is never restarted unless `spec` says so."""
        containers = [{"name": "main", "image": image} | container]
        said = {
            "restartPolicy": "Never",
            "imagePullSecrets": [{"name": "pull"}],
            "terminationGracePeriodSeconds": 5,
            "containers": containers,
        }
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}}, "spec": said | (spec or {})}
        self.core.create_namespaced_pod(NAMESPACE, body)

    def script(self, name: str, text: str, **more: Any) -> None:
        """A pod that runs a few lines of Python."""
        self.pod(name, self.tiny, command=["python", "-c", text], **more)

    @property
    def tiny(self) -> str:
        return self.push.image([stub(), layer({"app/server.py": SERVER}), layer({"model/model.txt": b"tiny"})])

    def read(self, name: str) -> Any:
        return self.core.read_namespaced_pod(name, NAMESPACE)

    def state(self, name: str) -> Any:
        """The status of the first container."""
        return (self.read(name).status.container_statuses or [NOTHING])[0]

    def phase(self, name: str, *phases: str, seconds: float = 30) -> Any:
        """Wait until the pod is in one of the phases."""
        return wait(f"pod {name} in {phases}", lambda: (p := self.read(name)) and p.status.phase in phases and p, seconds)

    def ready(self, name: str) -> Any:
        def is_ready() -> Any:
            pod = self.read(name)
            return pod if any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ()) else None

        return wait(f"pod {name} ready", is_ready)

    def ask(self, address: str, path: str = "/", port: int = 8080) -> Any:
        answer = httpx.get(f"http://{address}:{port}{path}", timeout=5, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def log(self, name: str, **query: Any) -> str:
        # The client 36 gives the text of bytes unless it is asked not to read the answer.
        return self.core.read_namespaced_pod_log(name, NAMESPACE, _preload_content=False, **query).data.decode()

    def events(self, name: str) -> list[tuple[str, str]]:
        found = self.core.list_namespaced_event(NAMESPACE, field_selector=f"involvedObject.name={name}").items
        return [(event.reason, event.message) for event in found]

    def delete(self, name: str, **options: Any) -> None:
        self.core.delete_namespaced_pod(name, NAMESPACE, **options)

    def gone(self, name: str) -> None:
        def is_gone() -> bool:
            try:
                self.read(name)
            except client.ApiException as error:
                return error.status == 404
            return False

        wait(f"pod {name} gone", is_gone)

    def deployment(self, name: str, image: str, replicas: int = 2, **container: Any) -> dict[str, Any]:
        probe = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1}
        main = {"name": "main", "image": image, "ports": [{"name": "http", "containerPort": 8080}], "readinessProbe": probe} | container
        pod = {"imagePullSecrets": [{"name": "pull"}], "terminationGracePeriodSeconds": 5, "containers": [main]}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
            },
        }

    def rolled_out_now(self, name: str) -> bool:
        found = self.apps.read_namespaced_deployment(name, NAMESPACE)
        said, wanted = found.status, found.spec.replicas
        current = said and said.observed_generation == found.metadata.generation
        return bool(current and said.updated_replicas == said.ready_replicas == said.replicas == wanted)

    def rolled_out(self, name: str) -> None:
        wait(f"deployment {name} rolled out", lambda: self.rolled_out_now(name))

    def keepers(self, pod: str) -> list[int]:
        """Process ids of the keepers of a pod's containers."""
        folder = self.home.path / f"node-{self.name}" / "pods"
        return [int(path.read_text()) for path in folder.glob(f"{NAMESPACE}_{pod}_*/containers/*/*.pid")]


def carriers(home: Path) -> list[int]:
    """Processes that carry the home in their environment, but for this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"EDGELOOP_HOME={home}".encode() in (process / "environ").read_bytes().split(b"\0") and int(process.name) != os.getpid():
                found.append(int(process.name))
    return found


def kubeconfig_of(pod_env: dict[str, str]) -> dict[str, Any]:
    return yaml.safe_load(Path(pod_env["KUBECONFIG"]).read_text())
