"""One script of steps, on the stand-in and on a real API server (EDGELOOP_TEST_KUBECONFIG): both must give the recorded outcome."""

import copy
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from include.standin import kubernetes as standin
from include.standin.home import Home, free_port_base
from include.standin.kubernetes import kubeconfig
from include.standin.serving import Background, create_app

EXPECTED = Path(__file__).with_name("kubernetes_apply.expected.json")
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
STRATEGIC, JSON_PATCH = "application/strategic-merge-patch+json", "application/json-patch+json"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{ns}/deployments"
DEPLOYMENT = DEPLOYMENTS + "/d"
CONFIG_MAPS = "/api/v1/namespaces/{ns}/configmaps"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"


class Script:
    """Sends requests and keeps what came back, names and times masked."""

    def __init__(self, config_file: str) -> None:
        self.client = kubernetes.config.new_client_from_config(config_file)
        self.namespace = f"contract-{uuid.uuid4().hex[:8]}"
        self.outcome: dict[str, Any] = {}

    def send(self, method: str, path: str, body: Any = None, content: str = "application/json") -> tuple[int, Any]:
        headers = {"content-type": content, "accept": "application/json", "user-agent": "contract/1"}
        self.client.update_params_for_auth(headers, [], ["BearerToken"])
        url = self.client.configuration.host + path.replace("{ns}", self.namespace)
        text = None if body is None else json.dumps(body).replace("{ns}", self.namespace)
        reply = self.client.rest_client.pool_manager.request(method, url, body=text, headers=headers)
        return reply.status, json.loads(reply.data)

    def step(self, name: str, method: str, path: str, body: Any = None, content: str = "application/json", shows: str = "") -> Any:
        code, said = self.send(method, path, body, content)
        kept: dict[str, Any] = {"code": code}
        if said.get("kind") == "Status":
            kept |= {key: said[key] for key in ("reason", "message", "details") if said.get(key) is not None}
            (kept.get("details") or {}).pop("uid", None)
        for field in filter(None, shows.split()):
            kept[field] = _at(said, field)
        self.outcome[name] = json.loads(self._masked(json.dumps(kept)))
        return said

    def apply(self, name: str, path: str, body: Any, manager: str, force: bool = False, shows: str = "") -> Any:
        query = f"?fieldManager={manager}" + ("&force=true" if force else "")
        return self.step(name, "PATCH", path + query, body, APPLY, shows)

    def _masked(self, text: str) -> str:
        text = text.replace(self.namespace, "NAMESPACE")
        text = re.sub(r'(patch: |^|"message": ")Invalid value: .*?(: strict decoding error)', r"\1Invalid value: OBJECT\2", text)
        return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)


def _at(value: Any, path: str) -> Any:
    if path == "owners":
        return sorted(
            _owner(entry) for entry in value["metadata"].get("managedFields", []) if entry["manager"] != "kube-controller-manager"
        )
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else (value or {}).get(part)
    if path == "metadata.annotations":
        return {key: text for key, text in (value or {}).items() if not key.startswith("deployment.kubernetes.io")}
    return value


def _owner(entry: dict[str, Any]) -> str:
    return f"{entry['manager']} {entry['operation']} {json.dumps(entry['fieldsV1'], sort_keys=True)}"


def deployment(image: str = "i1", **labels: str) -> dict[str, Any]:
    container = {
        "name": "c",
        "image": image,
        "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}],
        "ports": [{"containerPort": 80}, {"containerPort": 81}],
    }
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "labels": labels or {"a": "1"}},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "d"}}, "template": template},
    }


SHOWN = "metadata.labels spec.replicas spec.template.spec.containers.0 owners"


def apply_steps(script: Script) -> None:
    whole = deployment()
    script.apply("apply creates", DEPLOYMENT, whole, "one", shows=SHOWN + " spec.strategy metadata.generation")
    script.apply("apply again changes nothing", DEPLOYMENT, whole, "one", shows="owners")
    other = deployment("i2")
    script.apply("another manager's other value is refused", DEPLOYMENT, other, "two")
    other["spec"]["replicas"] = 1
    script.apply("two conflicts", DEPLOYMENT, other, "two")
    other["spec"]["replicas"] = 0
    script.apply("forced", DEPLOYMENT, other, "two", force=True, shows=SHOWN)
    less = deployment("i2", b="1")
    del less["spec"]["template"]["spec"]["containers"][0]["env"][1]
    script.apply("what another still owns stays", DEPLOYMENT, less, "one", shows=SHOWN)
    script.apply("what nobody owns goes", DEPLOYMENT, less, "two", shows=SHOWN)
    del less["spec"]["template"]["spec"]["containers"][0]["ports"]
    for manager in ("one", "two"):
        script.apply(f"a list is dropped by {manager}", DEPLOYMENT, less, manager, shows=SHOWN)
    script.step("a field by hand", "PATCH", DEPLOYMENT + "?fieldManager=hand", {"spec": {"minReadySeconds": 1}}, MERGE, SHOWN)
    less["spec"]["minReadySeconds"] = 2
    script.apply("an update's field conflicts too", DEPLOYMENT, less, "one")
    del less["spec"]["minReadySeconds"]
    misspelt = copy.deepcopy(less)
    misspelt["spec"]["replikas"] = misspelt["spec"].pop("replicas")
    script.apply("unknown field", DEPLOYMENT, misspelt, "one")
    script.apply("unknown field in a list", DEPLOYMENT, _with_container(less, imag="x"), "one")
    script.step("no manager", "PATCH", DEPLOYMENT, less, APPLY)


def _with_container(value: dict[str, Any], **fields: Any) -> dict[str, Any]:
    found = copy.deepcopy(value)
    found["spec"]["template"]["spec"]["containers"][0] |= fields
    return found


def patch_steps(script: Script) -> None:
    container = {"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "Z", "value": "9"}]}]}}}}
    script.step("strategic merges a list by its key", "PATCH", DEPLOYMENT + "?fieldManager=hand", container, STRATEGIC, SHOWN)
    container["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "Z", "$patch": "delete"}]
    script.step("strategic deletes an item", "PATCH", DEPLOYMENT + "?fieldManager=hand", container, STRATEGIC, SHOWN)
    script.step("merge null removes", "PATCH", DEPLOYMENT + "?fieldManager=hand", {"metadata": {"labels": {"b": None}}}, MERGE, SHOWN)
    operations = [{"op": "test", "path": "/spec/replicas", "value": 0}, {"op": "add", "path": "/metadata/labels", "value": {"j": "1"}}]
    script.step("JSON patch", "PATCH", DEPLOYMENT + "?fieldManager=hand", operations, JSON_PATCH, SHOWN)
    strict = DEPLOYMENT + "?fieldManager=hand&fieldValidation=Strict"
    script.step("merge with an unknown field, strict", "PATCH", strict, {"spec": {"replikas": 1}}, MERGE)
    script.step("merge with a stale version", "PATCH", DEPLOYMENT, {"metadata": {"resourceVersion": "1"}, "spec": {"paused": True}}, MERGE)
    script.step("scale", "PATCH", DEPLOYMENT + "/scale", {"spec": {"replicas": 0}}, MERGE, "kind apiVersion spec status.selector")
    script.step("delete", "DELETE", DEPLOYMENT)
    script.step("delete again", "DELETE", DEPLOYMENT)


def object_steps(script: Script) -> None:
    one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "1"}}
    script.step("create", "POST", CONFIG_MAPS + "?fieldManager=hand", one, shows="data owners")
    script.step("create again", "POST", CONFIG_MAPS, one)
    stale = copy.deepcopy(one)
    stale["metadata"]["resourceVersion"] = "1"
    script.step("replace with a stale version", "PUT", CONFIG_MAPS + "/m", stale)
    script.step("replace", "PUT", CONFIG_MAPS + "/m?fieldManager=hand", one | {"data": {"b": "2"}}, shows="data owners")
    script.step("name of the URL", "PUT", CONFIG_MAPS + "/n", one)
    strict = DEPLOYMENTS + "?fieldValidation=Strict"
    wrong = deployment()
    wrong["spec"]["replikas"] = 1
    script.step("create with an unknown field, strict", "POST", strict, wrong)
    script.step("create without selector", "POST", DEPLOYMENTS, _without(deployment(), "selector"))
    other = deployment()
    other["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    script.step("selector of other labels", "POST", DEPLOYMENTS, other)
    script.step("bad name", "POST", CONFIG_MAPS, one | {"metadata": {"name": "Bad_Name"}})
    script.step("no such object", "GET", CONFIG_MAPS + "/none")
    script.step("no such namespace", "POST", CONFIG_MAPS.replace("{ns}", "nowhere-at-all"), one | {"metadata": {"name": "m"}})
    script.step("no such kind", "GET", "/apis/apps/v1/namespaces/{ns}/none")


def _without(value: dict[str, Any], field: str) -> dict[str, Any]:
    value["spec"].pop(field)
    return value


EXPRESSION = "object.spec.template.spec.containers.all(c, params.data.exists(k, c.image.endsWith('@' + params.data[k])))"


def policy() -> dict[str, Any]:
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "{ns}"},
        "spec": {
            "failurePolicy": "Fail",
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": EXPRESSION, "message": "the image is not an approved digest"}],
        },
    }


def policy_binding() -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "{ns}"},
        "spec": {
            "policyName": "{ns}",
            "validationActions": ["Deny"],
            "paramRef": {"name": "approved", "namespace": "{ns}", "parameterNotFoundAction": "Deny"},
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "{ns}"}}},
        },
    }


KEEPER = "edgeloop-contract-keeper"


def keep_parameters(script: Script) -> None:
    """Leave a bound policy behind, which concerns no namespace.

    A real server stops to watch a built-in kind of parameters when no binding is left whose policy names the kind, and does not
    start again before it is restarted (kubernetes/kubernetes#130887). A policy without a binding does not count.
    """
    binding = policy_binding() | {"metadata": {"name": KEEPER}}
    nowhere = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": KEEPER}}}
    binding["spec"] |= {"policyName": KEEPER, "paramRef": binding["spec"]["paramRef"] | {"namespace": "default"}, "matchResources": nowhere}
    for plural, body in (("policies", policy() | {"metadata": {"name": KEEPER}}), ("policybindings", binding)):
        path = f"{ADMISSION}/validatingadmission{plural}/{KEEPER}?fieldManager=contract&force=true"
        code, said = script.send("PATCH", path, body, APPLY)
        assert code in (200, 201), said


def policy_steps(script: Script) -> None:
    keep_parameters(script)
    script.apply("policy", ADMISSION + "/validatingadmissionpolicies/{ns}", policy(), "site")
    script.apply("binding", ADMISSION + "/validatingadmissionpolicybindings/{ns}", policy_binding(), "site")
    _until_enforced(script)
    script.apply("no parameters", DEPLOYMENT, deployment("r/x@sha256:1111"), "one")
    approved = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "approved"}, "data": {"champion": "sha256:1111"}}
    script.apply("parameters", CONFIG_MAPS + "/approved", approved, "site")
    _until_allowed(script)
    script.apply("approved image", DEPLOYMENT, deployment("r/x@sha256:1111"), "one")
    script.apply("another image", DEPLOYMENT, deployment("r/x@sha256:2222"), "one")
    script.step("another image by patch", "PATCH", DEPLOYMENT, _with_container(deployment(), image="r/x:latest"), STRATEGIC)


NO_PARAMETERS = "no params found"
STOPPED = "the server does not see the parameters: if it has stopped to watch ConfigMaps (see keep_parameters), restart kube-apiserver"


def _tried(script: Script, image: str) -> tuple[int, Any]:
    return script.send("PATCH", DEPLOYMENT + "?fieldManager=one&dryRun=All", deployment(image), APPLY)


def _until_enforced(script: Script) -> None:
    """A real server takes up to some seconds to see a policy, its binding, and that there are no parameters."""
    _until(lambda: NO_PARAMETERS in str(_tried(script, "r/x:latest")[1].get("message")), "the policy was not taken up")


def _until_allowed(script: Script) -> None:
    _until(lambda: _tried(script, "r/x@sha256:1111")[0] < 300, STOPPED)


def _until(true: Callable[[], bool], otherwise: str) -> None:
    for _ in range(300):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError(f"{otherwise} (waited half a minute)")


def run(config_file: str) -> dict[str, Any]:
    script = Script(config_file)
    script.send("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{ns}"}})
    try:
        apply_steps(script)
        patch_steps(script)
        object_steps(script)
        policy_steps(script)
    finally:
        for path in (
            ADMISSION + "/validatingadmissionpolicybindings/{ns}",
            ADMISSION + "/validatingadmissionpolicies/{ns}",
            "/api/v1/namespaces/{ns}",
        ):
            script.send("DELETE", path)
    return script.outcome


def assert_expected(outcome: dict[str, Any], recorded: Path = EXPECTED) -> None:
    expected = json.loads(recorded.read_text(encoding="utf-8"))
    assert list(outcome) == list(expected)
    for name, said in expected.items():
        assert outcome[name] == said, name


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = Home.create(tmp_path_factory.mktemp("contract"), free_port_base(1), sites=["north"])
    with Background(create_app(home, standin.create(home, "north")), home, home.port("kubernetes-north")):
        yield str(kubeconfig.write(home, "north"))


def test_standin_gives_the_recorded_outcome(site: str) -> None:
    assert_expected(run(site))


@pytest.mark.cluster
@pytest.mark.skipif("EDGELOOP_TEST_KUBECONFIG" not in os.environ, reason="needs a real Kubernetes")
def test_a_real_server_gives_the_recorded_outcome() -> None:
    assert_expected(run(os.environ["EDGELOOP_TEST_KUBECONFIG"]))
