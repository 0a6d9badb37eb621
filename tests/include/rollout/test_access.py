"""What the site's set-up allows and forbids, whoever asks."""

import copy

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from include.domain import naming
from include.rollout import chart
from include.rollout.cluster import Cluster
from include.rollout.set_up import set_up
from include.standin import sites
from include.standin.connections import services
from include.standin.home import Home
from include.standin.kubernetes import kubeconfig
from tests.include.rollout.site import NAMESPACE, VALUES, WORKLOAD, Bench

STABLE = naming.scorer(WORKLOAD)


@pytest.fixture(scope="module")
def rollout(standin_bench: Bench):
    return config.new_client_from_config(str(standin_bench.kubeconfig))


def status(call, *arguments, **more) -> int:
    with pytest.raises(ApiException) as refused:
        call(*arguments, **more)
    return refused.value.status


@pytest.fixture(scope="module")
def elsewhere(standin_bench: Bench) -> str:
    standin_bench.core.create_namespace({"metadata": {"name": "elsewhere"}})
    return "elsewhere"


def test_the_rollout_cannot_touch_another_namespace(rollout, elsewhere: str) -> None:
    core, apps = client.CoreV1Api(rollout), client.AppsV1Api(rollout)
    assert status(apps.list_namespaced_deployment, elsewhere) == 403
    assert status(core.create_namespaced_config_map, elsewhere, {"metadata": {"name": "x"}}) == 403
    assert status(core.list_namespaced_secret, elsewhere) == 403
    assert status(core.list_namespace) == 403
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 1}]}}
    with pytest.raises(ApiException, match="403"):
        Cluster(elsewhere, rollout).apply([body])


def test_the_rollout_reads_one_secret_and_makes_no_rights(rollout) -> None:
    core, rbac = client.CoreV1Api(rollout), client.RbacAuthorizationV1Api(rollout)
    assert core.read_namespaced_secret("edgeloop-pull", NAMESPACE).metadata.name == "edgeloop-pull"
    assert status(core.read_namespaced_secret, "edgeloop-site", NAMESPACE) == 403
    assert status(rbac.list_namespaced_role, NAMESPACE) == 403
    assert status(core.create_namespaced_service_account_token, "edgeloop-airflow", NAMESPACE, {"spec": {}}) == 403
    assert status(client.AdmissionregistrationV1Api(rollout).delete_validating_admission_policy, "edgeloop-approved-digests") == 403


def test_airflow_starts_pods_and_reads_states_but_deploys_nothing(embedded_site: Home) -> None:
    file = kubeconfig.write_service_account(embedded_site, "north", NAMESPACE, "edgeloop-airflow")
    api = config.new_client_from_config(str(file))
    client.CoreV1Api(api).list_namespaced_pod(NAMESPACE)
    assert status(client.AppsV1Api(api).list_namespaced_deployment, NAMESPACE) == 403
    assert status(client.CoreV1Api(api).read_namespaced_secret, "edgeloop-pull", NAMESPACE) == 403


def scorer(image: str) -> dict:
    values = {key: value for key, value in VALUES.items() if key != "judge"} | {"name": STABLE, "workload": WORKLOAD, "image": image}
    return next(one for one in chart.render("scorer", NAMESPACE, values) if one["kind"] == "Deployment")


UNKNOWN = "localhost:1/edgeloop/wind-power@sha256:" + "a" * 64


@pytest.mark.parametrize("who", ["the rollout", "the administrator"])
def test_an_unapproved_digest_is_refused_whoever_applies_it(bench: Bench, rollout, who: str) -> None:
    apps = client.AppsV1Api(rollout if who == "the rollout" else bench.admin)
    with pytest.raises(ApiException, match="not an approved digest") as refused:
        apps.create_namespaced_deployment(NAMESPACE, scorer(UNKNOWN))
    assert refused.value.status == 403
    assert bench.deployments() == []


def test_a_sidecar_or_an_init_container_needs_approval_too(bench: Bench, first: str) -> None:
    bench.roll_out(first)
    (found,) = bench.deployments()
    for kind in ("containers", "initContainers"):
        more = copy.deepcopy({"spec": {"template": {"spec": {kind: [{"name": "more", "image": UNKNOWN}]}}}})
        with pytest.raises(ApiException, match="not an approved digest"):
            bench.apps.patch_namespaced_deployment(found.metadata.name, NAMESPACE, more)
    bench.apps.patch_namespaced_deployment_scale(found.metadata.name, NAMESPACE, {"spec": {"replicas": 1}})


def test_a_tag_is_no_digest(bench: Bench, first: str) -> None:
    bench.roll_out(first)
    tagged = {"spec": {"template": {"spec": {"containers": [{"name": "scorer", "image": first.rpartition("@")[0] + ":v-1"}]}}}}
    with pytest.raises(ApiException, match="not an approved digest"):
        bench.apps.patch_namespaced_deployment(STABLE, NAMESPACE, tagged)


def test_set_up_again_changes_nothing(bench: Bench, embedded_site: Home, first: str) -> None:
    bench.roll_out(first)
    before = bench.outcome()
    versions = [one.metadata.resource_version for one in bench.core.list_namespaced_secret(NAMESPACE).items]
    set_up(NAMESPACE, sites.values(embedded_site, "north", services(embedded_site)), kubeconfig=str(bench.admin_kubeconfig))
    assert bench.outcome() == before
    assert [one.metadata.resource_version for one in bench.core.list_namespaced_secret(NAMESPACE).items] == versions
