"""The Python client against the API server: objects, watches, applies, logs, roles."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import kubernetes
import pytest
from kubernetes import watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient

from include.standin.home import Home
from include.standin.kubernetes import kubeconfig


@pytest.fixture(scope="module")
def core(client: Any) -> Any:
    return kubernetes.client.CoreV1Api(client)


@pytest.fixture(scope="module")
def apps(client: Any) -> Any:
    return kubernetes.client.AppsV1Api(client)


def until(true: Callable[[], Any]) -> Any:
    for _ in range(300):
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError("not within 15 seconds")


def namespace(core: Any, name: str) -> str:
    core.create_namespace({"metadata": {"name": name}})
    return name


def deployment(name: str, image: str, replicas: int = 2, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    body = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body | spec}


def test_a_namespace_has_its_account_and_the_ca_and_goes_with_all_in_it(core: Any, node: None) -> None:
    name = namespace(core, "whole")
    assert "BEGIN CERTIFICATE" in core.read_namespaced_config_map("kube-root-ca.crt", name).data["ca.crt"]
    core.create_namespaced_pod(name, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    until(lambda: core.read_namespaced_pod("p", name).status.phase == "Running")
    core.delete_namespace(name)
    until(lambda: name not in [one.metadata.name for one in core.list_namespace().items])
    assert core.list_pod_for_all_namespaces(label_selector="").items == []


def test_unauthorized(site: Home) -> None:
    configuration = kubernetes.client.Configuration(host=site.url("kubernetes-north"))
    configuration.ssl_ca_cert = str(site.ca)
    configuration.api_key = {"authorization": "Bearer nonsense"}
    with pytest.raises(ApiException) as refused:
        kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration)).list_namespace()
    assert (refused.value.status, refused.value.reason) == (401, "Unauthorized")


def test_rolling_update_keeps_history_and_owned_objects_go(core: Any, apps: Any, node: None) -> None:
    name = namespace(core, "rolling")
    apps.create_namespaced_deployment(name, deployment("d", "one"))
    until(lambda: apps.read_namespaced_deployment("d", name).status.available_replicas == 2)
    apps.patch_namespaced_deployment("d", name, {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}})
    until(lambda: {pod.spec.containers[0].image for pod in core.list_namespaced_pod(name).items} == {"two"})
    sets = apps.list_namespaced_replica_set(name).items
    assert sorted(one.metadata.annotations["deployment.kubernetes.io/revision"] for one in sets) == ["1", "2"]
    apps.delete_namespaced_deployment("d", name)
    until(lambda: not apps.list_namespaced_replica_set(name).items and not core.list_namespaced_pod(name).items)


def test_an_image_that_cannot_be_pulled_leaves_the_old_pods_and_passes_the_deadline(core: Any, apps: Any, node: None) -> None:
    name = namespace(core, "deadline")
    apps.create_namespaced_deployment(name, deployment("d", "one", progressDeadlineSeconds=2))
    until(lambda: apps.read_namespaced_deployment("d", name).status.available_replicas == 2)
    apps.patch_namespaced_deployment("d", name, {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "bad"}]}}}})

    def progressing() -> str:
        conditions = apps.read_namespaced_deployment("d", name).status.conditions
        return next(one.reason for one in conditions if one.type == "Progressing")

    until(lambda: progressing() == "ProgressDeadlineExceeded")
    assert apps.read_namespaced_deployment("d", name).status.available_replicas == 2


def test_recreate_stops_the_old_first(core: Any, apps: Any, node: None) -> None:
    name = namespace(core, "recreate")
    apps.create_namespaced_deployment(name, deployment("d", "one", 1, strategy={"type": "Recreate"}))
    until(lambda: apps.read_namespaced_deployment("d", name).status.available_replicas == 1)
    apps.patch_namespaced_deployment("d", name, {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}})
    until(lambda: [pod.spec.containers[0].image for pod in core.list_namespaced_pod(name).items] == ["two"])


def test_dynamic_client_applies_and_watches(core: Any, client: Any) -> None:
    name = namespace(core, "dynamic")
    maps = DynamicClient(client).resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "labels": {"a": "1"}}, "data": {"x": "1"}}
    first = maps.server_side_apply(body, namespace=name, field_manager="one")
    core.patch_namespaced_config_map("m", name, {"metadata": {"labels": {"a": None}}})
    core.delete_namespaced_config_map("m", name)
    seen = [
        (event["type"], event["object"].metadata.labels)
        for event in watch.Watch().stream(
            core.list_namespaced_config_map,
            name,
            label_selector="a=1",
            timeout_seconds=1,
            resource_version=str(int(first.metadata.resourceVersion) - 1),
        )
    ]
    assert seen == [("ADDED", {"a": "1"}), ("DELETED", None)], "an object that no longer matches is deleted to the watcher"


def test_every_spelling_of_a_switch(client: Any) -> None:
    """kubernetes_asyncio writes `True`, kubectl `true`; a watch gives events, else there is one list."""
    headers: dict[str, str] = {}
    client.update_params_for_auth(headers, [], ["BearerToken"])
    url = f"{client.configuration.host}/api/v1/namespaces?fieldSelector=metadata.name%3Ddefault&timeoutSeconds=60&watch="
    for said, first in {"true": "ADDED", "True": "ADDED", "1": "ADDED", "": "ADDED", "False": "List", "0": "List"}.items():
        with httpx.stream("GET", url + said, headers=headers, verify=client.configuration.ssl_ca_cert) as answer:
            assert first in next(answer.iter_lines()), said


def test_a_watch_from_before_the_journal_is_expired(core: Any) -> None:
    with pytest.raises(ApiException) as expired:
        list(watch.Watch().stream(core.list_namespace, resource_version="5", timeout_seconds=1))
    assert expired.value.status == 410


def test_logs_come_from_the_nodes_agent(core: Any, node: None) -> None:
    name = namespace(core, "logs")
    core.create_namespaced_pod(name, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    until(lambda: core.read_namespaced_pod("p", name).status.phase == "Running")
    assert (
        core.read_namespaced_pod_log("p", name, tail_lines=3, timestamps=True, _preload_content=False).data
        == b"p c tailLines=3,timestamps=true\n"
    )
    with pytest.raises(ApiException, match="container x is not valid for pod p"):
        core.read_namespaced_pod_log("p", name, container="x")


def test_an_account_may_touch_its_own_namespace_and_nothing_else(core: Any, client: Any, site: Home) -> None:
    own, other = namespace(core, "own"), namespace(core, "other")
    rules = kubernetes.client.RbacAuthorizationV1Api(client)
    core.create_namespaced_service_account(own, {"metadata": {"name": "edgeloop-rollout"}})
    rules.create_namespaced_role(
        own, {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create"]}]}
    )
    subject = {"kind": "ServiceAccount", "name": "edgeloop-rollout", "namespace": own}
    rules.create_namespaced_role_binding(
        own,
        {
            "metadata": {"name": "r"},
            "roleRef": {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [subject],
        },
    )
    file = kubeconfig.write_service_account(site, "north", own, "edgeloop-rollout")
    assert file.name == "north.rollout.kubeconfig"
    mine = kubernetes.config.new_client_from_config(str(file))
    limited = kubernetes.client.CoreV1Api(mine)
    limited.create_namespaced_config_map(own, {"metadata": {"name": "m"}})
    assert limited.list_namespaced_config_map(own).items
    for forbidden in (
        lambda: limited.list_namespaced_config_map(other),
        lambda: limited.list_config_map_for_all_namespaces(),
        lambda: limited.delete_namespaced_config_map("m", own),
        lambda: limited.list_namespaced_secret(own),
        lambda: limited.list_namespace(),
        lambda: limited.create_namespaced_service_account_token("edgeloop-rollout", own, {"spec": {}}),
        lambda: kubernetes.client.RbacAuthorizationV1Api(mine).list_cluster_role(),
    ):
        with pytest.raises(ApiException) as refused:
            forbidden()
        assert refused.value.status == 403, refused.value.body
        assert 'User \\"system:serviceaccount:own:edgeloop-rollout\\" cannot' in refused.value.body
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "configmaps", "namespace": own}}}
    asked = kubernetes.client.AuthorizationV1Api(mine)
    assert asked.create_self_subject_access_review(review).status.allowed
    review["spec"]["resourceAttributes"]["namespace"] = other
    assert not asked.create_self_subject_access_review(review).status.allowed


def test_a_requested_token_ends_with_its_account(core: Any, site: Home) -> None:
    name = namespace(core, "tokens")
    core.create_namespaced_service_account(name, {"metadata": {"name": "a"}})
    issued = core.create_namespaced_service_account_token("a", name, {"spec": {"expirationSeconds": 600}}).status
    configuration = kubernetes.client.Configuration(host=site.url("kubernetes-north"))
    configuration.ssl_ca_cert = str(site.ca)
    configuration.api_key = {"authorization": f"Bearer {issued.token}"}
    who = kubernetes.client.AuthenticationV1Api(kubernetes.client.ApiClient(configuration))
    assert who.create_self_subject_review({}).status.user_info.username == f"system:serviceaccount:{name}:a"
    core.delete_namespaced_service_account("a", name)
    core.create_namespaced_service_account(name, {"metadata": {"name": "a"}})
    with pytest.raises(ApiException) as refused:
        who.create_self_subject_review({})
    assert refused.value.status == 401
    with pytest.raises(ApiException, match="10 minutes"):
        core.create_namespaced_service_account_token("a", name, {"spec": {"expirationSeconds": 5}})


def test_services_get_addresses_of_the_site(core: Any) -> None:
    name = namespace(core, "services")
    found = [core.create_namespaced_service(name, {"metadata": {"name": f"s{n}"}, "spec": {"ports": [{"port": 80}]}}) for n in (1, 2)]
    addresses = {one.spec.cluster_ip for one in found}
    assert len(addresses) == 2
    assert all(address.startswith("127.61.") for address in addresses)
    assert found[0].spec.ports[0].target_port == 80


def test_garbage_is_refused_not_stored(core: Any, client: Any) -> None:
    for body, message in (
        ({"metadata": {"name": "x"}, "data": {"a": 1}}, "cannot unmarshal number"),
        ({"metadata": {"name": "x"}, "kind": "Pod"}, "does not match the expected API version"),
        ({"metadata": "x"}, "metadata is no object"),
    ):
        with pytest.raises(ApiException, match=message):
            core.create_namespaced_config_map("default", body)
    with pytest.raises(ApiException) as large:
        core.create_namespaced_config_map("default", {"metadata": {"name": "x"}, "data": {"a": "x" * 4_000_000}})
    assert large.value.status == 413
