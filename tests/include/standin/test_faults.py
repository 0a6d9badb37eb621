"""Programs misbehave as they are told, and no longer."""

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from include.standin.faults import Fault
from include.standin.home import Home, free_port_base
from include.standin.serving import Background, client_context, create_app


class Echo:
    audience = None
    routes = [Route("/jobs/{name}", lambda _: PlainTextResponse("done"), methods=["GET", "POST"])]  # noqa: RUF012

    async def start(self): ...
    async def stop(self): ...


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    home = Home.create(tmp_path_factory.mktemp("home"), free_port_base(1), ["north"])
    served = Background(create_app(home, Echo()), home, home.port("cloud"))
    with served as url, httpx.Client(base_url=url, verify=client_context(home)) as found:
        yield found


@pytest.fixture(autouse=True)
def _behave(client):
    yield
    client.delete("/_faults")


def test_a_fault_is_used_up(client):
    client.put("/_faults", json={"path": "^/jobs/", "status": 429, "headers": {"Retry-After": "1"}, "count": 2})
    answers = [client.get("/jobs/a") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "1"


def test_method_and_path_must_match(client):
    client.put("/_faults", json={"path": "/jobs/b$", "method": "POST", "status": 503})
    assert client.get("/jobs/b").status_code == 200
    assert client.post("/jobs/bb").status_code == 200
    assert client.post("/jobs/b").status_code == 503


def test_a_link_is_cut(client):
    client.put("/_faults", json={"path": "/jobs", "drop": True})
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/jobs/a")
    assert client.get("/jobs/a").text == "done"


def test_a_delay_ends_in_the_right_answer(client):
    client.put("/_faults", json={"path": "/jobs", "delay": 0.3})
    with pytest.raises(httpx.ReadTimeout):
        client.get("/jobs/a", timeout=0.1)
    assert client.get("/jobs/a").text == "done"


def test_faults_come_in_their_order_and_can_be_called_off(client):
    client.put("/_faults", json=[{"path": ".", "status": 500}, {"path": ".", "status": 502, "body": {"why": "x"}}])
    assert client.get("/jobs/a").status_code == 500
    assert client.get("/_faults").json()["faults"][0]["status"] == 502
    client.delete("/_faults")
    assert client.get("/jobs/a").status_code == 200


def test_health_has_no_faults(client):
    client.put("/_faults", json={"path": ".", "status": 500})
    assert client.get("/_health").status_code == 200


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([1], "at least 'path'"),
        ({"status": 500}, "at least 'path'"),
        ({"path": "("}, "not a fault"),
        ({"path": "x", "colour": "red"}, "no 'colour'"),
        ({"path": "x", "delay": 1e9}, "delay"),
        ({"path": "x", "status": 99}, "status 99"),
        ({"path": "x", "status": "no"}, "not a fault"),
    ],
)
def test_what_is_no_fault_is_refused(client, said, why):
    answer = client.put("/_faults", json=said)
    assert answer.status_code == 400
    assert why in answer.json()["error"]
    assert client.get("/jobs/a").status_code == 200


def test_a_fault_without_a_method_is_for_all():
    assert Fault("/x").matches("DELETE", "/a/x")
