"""The local CA is good for the strictest verifiers, and renews what is nearly over."""

import ssl
import subprocess
from datetime import timedelta

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from include.standin import tls
from include.standin.home import Home, free_port_base
from include.standin.serving import Background, create_app


class Greeter:
    audience = None
    routes = [Route("/", lambda _: PlainTextResponse("hello"))]  # noqa: RUF012

    async def start(self): ...
    async def stop(self): ...


def test_strict_verification_accepts_it_by_name_and_by_address(tmp_path):
    home = Home.create(tmp_path, free_port_base(1), ["north"])
    strict = ssl.create_default_context(cafile=str(home.ca))
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    with Background(create_app(home, Greeter()), home, home.port("cloud")) as url:
        for address in (url, url.replace("localhost", "127.0.0.1")):
            assert httpx.get(address, verify=strict).text == "hello"


def test_another_authority_is_not_trusted(tmp_path):
    home = Home.create(tmp_path / "a", free_port_base(1), ["north"])
    other = Home.create(tmp_path / "b", 21000, ["north"])
    with (
        Background(create_app(home, Greeter()), home, home.port("cloud")) as url,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY"),
    ):
        httpx.get(url, verify=ssl.create_default_context(cafile=str(other.ca)))


def test_openssl_agrees(tmp_path):
    tls.ensure(tmp_path)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "ca.pem", "server.pem"]
    try:
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no openssl")
    assert said.stdout.strip() == "server.pem: OK", said.stderr


def _files(folder):
    return {name: (folder / name).read_bytes() for name in ("ca.pem", "ca.key", "server.pem", "server.key")}


def test_what_is_good_stays(tmp_path):
    tls.ensure(tmp_path)
    before = _files(tmp_path)
    tls.ensure(tmp_path)
    assert _files(tmp_path) == before


def test_what_is_nearly_over_is_renewed(tmp_path, monkeypatch):
    monkeypatch.setattr(tls, "VALID", timedelta(days=29))
    tls.ensure(tmp_path)
    before = _files(tmp_path)
    monkeypatch.undo()
    tls.ensure(tmp_path)
    assert all(before[name] != now for name, now in _files(tmp_path).items())


@pytest.mark.parametrize("name", ["server.pem", "server.key", "ca.key"])
def test_what_is_torn_is_made_anew(tmp_path, name):
    tls.ensure(tmp_path)
    (tmp_path / name).write_bytes(b"-----BEGIN")
    tls.ensure(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
