"""The node agent under a real kube-apiserver, scheduler and controller manager (EDGELOOP_TEST_KUBERNETES_BIN: their folder)."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.include.standin.node.planes import running_site
from tests.include.standin.node.site import NAMESPACE, Site, carriers, wait

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    binaries = os.environ.get("EDGELOOP_TEST_KUBERNETES_BIN")
    if not binaries:
        pytest.skip("EDGELOOP_TEST_KUBERNETES_BIN does not name a folder with kube-apiserver and etcd")
    with running_site(tmp_path_factory.mktemp("site"), binaries) as found:
        yield found


def test_exit_code_and_logs_through_the_real_proxy(site: Site) -> None:
    site.script("three", "print('hello'); raise SystemExit(3)")
    site.phase("three", "Failed")
    assert site.state("three").state.terminated.exit_code == 3
    assert site.log("three", follow=True) == "hello\n"


def test_rolls_out_is_adopted_and_goes(site: Site) -> None:
    site.apps.create_namespaced_deployment(NAMESPACE, site.deployment("scorer", site.tiny))
    spec = {"selector": {"app": "scorer"}, "ports": [{"port": 8080, "targetPort": "http"}]}
    service = site.core.create_namespaced_service(NAMESPACE, {"metadata": {"name": "scorer"}, "spec": spec})
    site.rolled_out("scorer")
    before = {site.ask(service.spec.cluster_ip)["pid"] for _ in range(6)}
    assert len(before) == 2
    site.stop(signal.SIGKILL)
    site.start()
    wait("the service", lambda: site.ask(service.spec.cluster_ip))
    assert {site.ask(service.spec.cluster_ip)["pid"] for _ in range(6)} == before
    site.apps.delete_namespaced_deployment("scorer", NAMESPACE)
    wait("no pods", lambda: not site.core.list_namespaced_pod(NAMESPACE, label_selector="app=scorer").items)
    wait("no processes", lambda: not before & set(carriers(site.home.path)))
