"""A node that serves more than this machine's loopback: what it listens on, and what it says of itself."""

from collections.abc import Iterator

import httpx
import pytest

from tests.include.standin.node.planes import running_site
from tests.include.standin.node.site import NAMESPACE, Site, wait


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGELOOP_BIND", "0.0.0.0")
        patch.setenv("EDGELOOP_HOSTS", "node-north=north.example")
        with running_site(tmp_path_factory.mktemp("wide"), None) as found:
            yield found


def test_node_ports_and_logs_are_served_on_every_address(wide: Site) -> None:
    wide.pod("served", wide.tiny, labels={"app": "served"}, readinessProbe={"httpGet": {"path": "/health", "port": 8080}})
    spec = {"type": "NodePort", "selector": {"app": "served"}, "ports": [{"port": 8080}]}
    service = wide.core.create_namespaced_service(NAMESPACE, {"metadata": {"name": "served"}, "spec": spec})
    wide.ready("served")
    for address in ("127.0.0.1", "127.0.0.2"):
        wait("the node port", lambda at=address: wide.ask(at, port=service.spec.ports[0].node_port))  # type: ignore[misc]
    assert httpx.get(f"https://127.0.0.1:{wide.home.port('node-north')}/_health", verify=str(wide.home.ca)).text == "ok"
    assert "asked /" in wide.log("served")
    assert wide.read("served").status.host_ip == "127.0.0.1"


def test_the_node_says_how_it_is_reached_from_inside_and_outside(wide: Site) -> None:
    node = wait("the node's status", lambda: wide.core.list_node().items[0])
    said = {one.type: one.address for one in wait("addresses", lambda: wide.core.read_node(node.metadata.name).status.addresses)}
    assert said == {"InternalIP": "127.0.0.1", "Hostname": "edgeloop-north", "ExternalDNS": "north.example"}
