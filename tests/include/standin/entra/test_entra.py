"""The real credential classes against the token service."""

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential
from starlette.responses import JSONResponse
from starlette.routing import Route

from include.standin import entra
from include.standin.entra.exceptions import TokenRefused
from include.standin.entra.models import Directory
from include.standin.home import Home, free_port_base
from include.standin.serving import Background, client_context, create_app


class Resource:
    routes = [Route("/resource", lambda _: JSONResponse({"ok": True}))]  # noqa: RUF012

    def __init__(self, home: Home) -> None:
        self.audience = home.audience

    async def start(self): ...
    async def stop(self): ...


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    home = Home.create(tmp_path_factory.mktemp("home"), free_port_base(1), ["north"])
    with Background(create_app(home, entra.create(home), Resource(home)), home, home.port("cloud")):
        yield home


@pytest.fixture
def client(running):
    with httpx.Client(base_url=running.url("cloud"), verify=client_context(running)) as found:
        yield found


def _arguments(home: Home, **changes: str) -> dict:
    known = home.identity
    said = {"tenant_id": known.tenant_id, "client_id": known.client_id, "client_secret": known.client_secret} | changes
    return {**said, "authority": home.url("cloud"), "disable_instance_discovery": True, "connection_verify": str(home.ca)}


@pytest.mark.parametrize("tenant", ["", "adfs"])
def test_a_service_principal_gets_a_token_that_opens_the_resource(running, client, tenant):
    changes = {"tenant_id": tenant} if tenant else {}
    with ClientSecretCredential(**_arguments(running, **changes)) as credential:
        token = credential.get_token(f"{running.audience}/.default").token
    assert client.get("/resource", headers={"Authorization": f"Bearer {token}"}).json() == {"ok": True}


async def test_the_async_credential_gets_one_too(running):
    async with AsyncClientSecretCredential(**_arguments(running)) as credential:
        token = (await credential.get_token(f"{running.audience}/.default")).token
    assert Directory(running).check(f"Bearer {token}", running.audience)["appid"] == running.identity.client_id


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_secret": "wrong"}, "AADSTS7000215"),
        ({"client_id": "nobody"}, "AADSTS700016"),
        ({"tenant_id": "elsewhere"}, "AADSTS90002|invalid_tenant|elsewhere"),
    ],
)
def test_strangers_get_none(running, changes, code):
    with ClientSecretCredential(**_arguments(running, **changes)) as credential, pytest.raises(ClientAuthenticationError, match=code):
        credential.get_token(f"{running.audience}/.default")


def test_a_wrong_secret_is_invalid_client(running, client):
    form = {"grant_type": "client_credentials", "scope": "x/.default", "client_id": running.identity.client_id, "client_secret": "no"}
    answer = client.post(f"/{running.identity.tenant_id}/oauth2/v2.0/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(("form", "error"), [({}, "invalid_request"), ({"grant_type": "password"}, "unsupported_grant_type")])
def test_what_is_missing_is_named(running, client, form, error):
    answer = client.post(f"/{running.identity.tenant_id}/oauth2/v2.0/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_token_that_is_over_is_refused_with_a_challenge(running, client):
    old = Directory(running).issue(running.audience, -1)
    answer = client.get("/resource", headers={"Authorization": f"Bearer {old}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "ExpiredAuthenticationToken")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_fault_issues_tokens_that_are_over(running, client):
    client.put("/_faults", json={"path": "/oauth2/", "expired_token": True})
    codes = []
    for _ in range(2):
        with ClientSecretCredential(**_arguments(running)) as credential:
            token = credential.get_token(f"{running.audience}/.default").token
        codes.append(client.get("/resource", headers={"Authorization": f"Bearer {token}"}).status_code)
    assert codes == [401, 200]


def test_other_tokens_are_refused(running, client, tmp_path):
    stranger = Directory(Home.create(tmp_path, 21000, ["north"]))
    for token, code in (
        (Directory(running).issue("https://elsewhere"), "InvalidAuthenticationTokenAudience"),
        (stranger.issue(running.audience), "InvalidAuthenticationToken"),
        ("not.a.token", "InvalidAuthenticationToken"),
    ):
        answer = client.get("/resource", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
    assert client.get("/resource").json()["error"]["code"] == "AuthenticationFailed"


def test_a_header_of_another_kind_is_no_token(running):
    with pytest.raises(TokenRefused, match="missing"):
        Directory(running).check("Basic abc", running.audience)
