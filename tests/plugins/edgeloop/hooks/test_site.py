"""The site as Airflow sees it, by its Connection."""

import json

import pytest
import yaml

from edgeloop.exceptions import ConnectionIncomplete
from edgeloop.hooks.site import SiteHook
from include.domain.rollout import Verdict
from tests.include.rollout.conftest import bench, embedded_site, first, standin_bench  # noqa: F401 - fixtures
from tests.include.rollout.site import WORKLOAD, Bench


@pytest.fixture
def connection(standin_bench: Bench, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    """Put the site's Connection into the environment, changed."""

    def put(**change) -> None:
        extra = {"kube_config": standin_bench.admin_kubeconfig.read_text(), "namespace": standin_bench.namespace} | change
        said = {"conn_type": "kubernetes", "extra": {key: value for key, value in extra.items() if value is not None}}
        monkeypatch.setenv("AIRFLOW_CONN_EDGELOOP_SITE_NORTH", json.dumps(said))

    put()
    return put


def test_before_the_first_rollout_there_is_no_state(bench: Bench, connection) -> None:  # noqa: F811
    assert SiteHook("north").rollout_state(WORKLOAD) is None


def test_the_state_is_what_the_program_wrote(bench: Bench, connection, first: str) -> None:  # noqa: F811
    written = bench.step("canary", first, freeze=["00:00-24:00"])
    read = SiteHook("north").rollout_state(WORKLOAD)
    assert read is not None
    assert (read.release, read.step, read.current, read.previous) == (first, "canary", "", "")
    assert read.verdict == Verdict.INCONCLUSIVE
    assert read.reasons == written.reasons


def test_a_connection_without_namespace_says_so(connection) -> None:
    connection(namespace=None)
    with pytest.raises(ConnectionIncomplete, match="Connection edgeloop_site_north lacks 'namespace'"):
        _ = SiteHook("north").namespace


def test_a_state_that_is_damaged_names_its_place(bench: Bench, connection) -> None:  # noqa: F811
    body = {"metadata": {"name": "wind-power-rollout"}, "data": {"state": "{"}}
    bench.core.create_namespaced_config_map(bench.namespace, body)
    with pytest.raises(Exception, match="ConfigMap wind-power-rollout of site north"):
        SiteHook("north").rollout_state(WORKLOAD)


def test_what_the_cluster_asks_for_goes_over_the_scorers_values(connection) -> None:
    values = "outbox: {claim: true, size: 1Gi}\nreplicas: 1\n"
    assert SiteHook("north").scoring_values(values) == values
    connection(values={"outbox": {"claim": False}})
    assert yaml.safe_load(SiteHook("north").scoring_values(values)) == {"outbox": {"claim": False, "size": "1Gi"}, "replicas": 1}
    connection(values="outbox.claim=false")
    with pytest.raises(ConnectionIncomplete, match="values"):
        SiteHook("north").scoring_values(values)
