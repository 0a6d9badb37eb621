"""How the client behaves when a registry throttles, fails, cuts, lies or sends it elsewhere: on the stand-in, with faults."""

import ssl
from collections.abc import Iterator

import httpx
import pytest

from include.oci import client
from include.oci.auth import Challenge
from include.oci.client import Registry
from include.oci.exceptions import AccessDenied, RegistryRefused, RegistryUnreachable
from include.oci.reference import digest
from include.oci.upload import CHUNK
from include.oci.wire import LONGEST_PAUSE, pause_asked
from include.standin import container_registry
from include.standin.home import Home
from include.standin.serving import Background, create_app

NAME = "edgeloop/wire"


@pytest.fixture(scope="module")
def url(home: Home) -> Iterator[str]:
    with Background(create_app(home, container_registry.create(home, "releases")), home, home.port("releases")) as found:
        yield found


@pytest.fixture
def registry(home: Home, url: str) -> Iterator[Registry]:
    with Registry(url, home.identity.registry_user, home.identity.registry_password, home.ca) as found:
        yield found


@pytest.fixture
def fault(home: Home, url: str) -> Iterator[object]:
    with httpx.Client(verify=ssl.create_default_context(cafile=home.ca), base_url=url) as http:

        def put(**said: object) -> None:
            assert http.put("/_faults", json=said).status_code < 300

        yield put
        http.delete("/_faults")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_by_is_waited_for(registry: Registry, fault, status: int) -> None:  # type: ignore[no-untyped-def]
    fault(path="/blobs/|/manifests/", status=status, headers={"Retry-After": "0"}, count=2)
    name = registry.write_blob(NAME, b"patience")
    fault(path="/blobs/", status=status, headers={"Retry-After": "0"}, count=2)
    assert registry.has_blob(NAME, name)


def test_what_does_not_pass_is_said(registry: Registry, fault) -> None:  # type: ignore[no-untyped-def]
    errors = {"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}
    fault(path="/tags/", status=429, headers={"Retry-After": "0"}, body=errors, count=20)
    with pytest.raises(RegistryRefused, match=r"429 TOOMANYREQUESTS \(slow down\)") as refused:
        registry.tags(NAME)
    assert refused.value.codes == ("TOOMANYREQUESTS",)


def test_how_long_to_wait() -> None:
    assert pause_asked(httpx.Headers({"Retry-After": "7"}), 0.1) == 7
    assert pause_asked(httpx.Headers({"Retry-After": str(int(LONGEST_PAUSE) + 1)}), 0.1) is None, "too long: give up"
    assert 0.05 < (pause_asked(httpx.Headers(), 0.1) or 0) < 0.2
    assert pause_asked(httpx.Headers({"Retry-After": "7"}), None) is None


def test_a_cut_is_tried_again(registry: Registry, fault) -> None:  # type: ignore[no-untyped-def]
    registry.write_blob(NAME, b"cut")
    fault(path="/blobs/sha256", drop=True, count=2)
    assert registry.blob(NAME, digest(b"cut")) == b"cut"


def test_a_chunk_that_is_cut_goes_on(registry: Registry, fault) -> None:  # type: ignore[no-untyped-def]
    data = bytes(range(256)) * (CHUNK // 256) + b"the end"
    fault(path="/blobs/uploads/[0-9a-f]", method="PATCH", drop=True, count=2)
    name = registry.write_blob(NAME, data)
    assert registry.blob(NAME, name) == data


def test_an_upload_that_the_registry_forgot_starts_anew(registry: Registry, fault) -> None:  # type: ignore[no-untyped-def]
    data = b"forgotten" * (CHUNK // 8)
    fault(path="/blobs/uploads/[0-9a-f]", method="PATCH", drop=True, count=1)
    fault(path="/blobs/uploads/[0-9a-f]", method="GET", status=404, count=1)
    assert registry.blob(NAME, registry.write_blob(NAME, data)) == data


def test_bytes_that_change_on_the_way(registry: Registry, fault) -> None:  # type: ignore[no-untyped-def]
    registry.write_blob(NAME, b"as pushed")
    fault(path="/blobs/sha256", method="GET", status=200, body={"other": "bytes"}, count=2)
    with pytest.raises(client.DigestMismatch, match="is damaged"):
        registry.blob(NAME, digest(b"as pushed"))


def test_a_blob_is_not_read_beyond_its_bound(registry: Registry) -> None:
    name = registry.write_blob(NAME, b"x" * 1000)
    with pytest.raises(client.ImageUnsupported, match="more than 999 bytes"):
        registry.blob(NAME, name, 999)


def test_a_wrong_login(home: Home, url: str) -> None:
    with Registry(url, "edgeloop", "wrong", home.ca) as wrong, pytest.raises(AccessDenied, match="check login and password"):
        wrong.ping()
    with Registry(url, None, None, home.ca) as nobody, pytest.raises(AccessDenied):
        nobody.ping()


def test_a_certificate_of_nobody_we_know(url: str) -> None:
    with Registry(url, "a", "b") as registry, pytest.raises(RegistryUnreachable, match="its CA known"):
        registry.ping()


def test_ca_as_text(home: Home, url: str) -> None:
    with Registry(url, home.identity.registry_user, home.identity.registry_password, ca_pem=home.ca.read_text()) as registry:
        registry.ping()


@pytest.mark.parametrize("url", ["http://registry.example.com", "ftp://localhost", "registry:5000"])
def test_no_registry_without_tls(url: str) -> None:
    with pytest.raises(RegistryUnreachable, match="write https://"):
        Registry(url)


def test_nobody_there(home: Home) -> None:
    with Registry("http://127.0.0.1:9", None, None) as registry, pytest.raises(RegistryUnreachable, match="Is the registry up"):
        registry.ping()


def test_the_login_goes_nowhere_else(home: Home, registry: Registry) -> None:
    """A registry may send a client to a blob store on another host: without the login."""
    registry.has_blob("a", digest(b""))  # from now on the login for this repository is known
    auth = registry.wire._client.auth
    elsewhere = httpx.Request("GET", "https://elsewhere.example.com/v2/a/blobs/x")
    flow = auth.sync_auth_flow(elsewhere)  # type: ignore[union-attr]
    assert "Authorization" not in next(flow).headers
    with pytest.raises(StopIteration):
        flow.send(httpx.Response(401, request=elsewhere, headers={"WWW-Authenticate": 'Basic realm="x"'}))


def test_a_token_service_without_tls_gets_no_login(registry: Registry) -> None:
    asked = httpx.Request("GET", registry.wire.url.join("/v2/a/tags/list"))
    flow = registry.wire._client.auth.sync_auth_flow(asked)  # type: ignore[union-attr]
    next(flow)
    with pytest.raises(RegistryUnreachable, match="not an https:// URL"):
        flow.send(httpx.Response(401, request=asked, headers={"WWW-Authenticate": 'Bearer realm="http://elsewhere/token"'}))


def test_challenges() -> None:
    said = Challenge.parse('Bearer realm="https://a/token",service="s",scope="repository:a/b:pull,push"')
    assert said == Challenge("bearer", {"realm": "https://a/token", "service": "s", "scope": "repository:a/b:pull,push"})
    assert Challenge.parse("").scheme == ""
