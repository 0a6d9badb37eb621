"""Refreshes over HTTP."""

import time

import httpx
import pytest

from include.standin import power_bi
from include.standin.entra.models import Directory
from include.standin.home import Home, free_port_base
from include.standin.serving import Background, client_context, create_app


@pytest.fixture
def running(tmp_path):
    home = Home.create(tmp_path, free_port_base(1), ["north"])
    with Background(create_app(home, power_bi.create(home)), home, home.port("cloud")):
        yield home


@pytest.fixture
def client(running):
    token = Directory(running).issue(power_bi.AUDIENCE)
    known = running.identity
    base = f"{running.url('cloud')}/v1.0/myorg/groups/{known.group_id}/datasets/{known.dataset_id}"
    with httpx.Client(base_url=base, verify=client_context(running), headers={"Authorization": f"Bearer {token}"}) as found:
        yield found


def _until_over(client: httpx.Client, request_id: str) -> dict:
    for _ in range(100):
        answer = client.get(f"/refreshes/{request_id}")
        if answer.json()["status"] != "Unknown":
            return answer.json()
        assert answer.status_code == 202
        time.sleep(0.05)
    raise AssertionError("the refresh did not end")


def test_a_refresh_completes(client):
    begun = client.post("/refreshes", json={"notifyOption": "NoNotification"})
    request_id = begun.headers["RequestId"]
    assert begun.status_code == 202
    assert begun.headers["Location"].endswith(f"/refreshes/{request_id}")
    assert _until_over(client, request_id)["status"] == "Completed"
    assert [one["requestId"] for one in client.get("/refreshes").json()["value"]] == [request_id]


def test_the_history_begins_with_the_newest(client):
    ids = []
    for _ in range(2):
        ids.append(client.post("/refreshes").headers["RequestId"])
        _until_over(client, ids[-1])
    assert [one["id"] for one in client.get("/refreshes", params={"$top": 1}).json()["value"]] == [ids[1]]


def test_one_refresh_at_a_time(client):
    client.post("/refreshes")
    refused = client.post("/refreshes")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "RefreshInProgressException")


def test_a_refresh_can_be_cancelled(client):
    request_id = client.post("/refreshes").headers["RequestId"]
    assert client.delete(f"/refreshes/{request_id}").status_code == 200
    assert client.get(f"/refreshes/{request_id}").json()["status"] == "Cancelled"


@pytest.mark.parametrize("path", ["/refreshes/none", "/../other/refreshes", "/refreshes/..%2F..%2Fhome"])
def test_what_is_not_there_is_not_found(client, path):
    answer = client.get(path)
    assert answer.status_code == 404


def test_bad_requests_are_named(client):
    assert client.get("/refreshes", params={"$top": "x"}).json()["error"]["code"] == "InvalidRequest"
    assert client.post("/refreshes", content=b"{").status_code == 400
    assert client.post("/refreshes", content=b"[]").status_code == 400


def test_a_token_is_needed(client):
    assert client.get("/refreshes", headers={"Authorization": ""}).status_code == 401


def test_the_history_outlives_a_restart(running, client):
    request_id = client.post("/refreshes").headers["RequestId"]
    again = power_bi.models.Dataset(running.folder("power_bi")).get(request_id)
    assert again.request_id == request_id
