"""Where an embedded cloud is: on loopback, or where the environment says when the home is made."""

import pytest
from cryptography import x509

from include.standin.home import Home, HomeError
from include.standin.place import Place
from include.standin.programs import programs
from include.standin.storage.azurite import Azurite


@pytest.fixture
def containers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGELOOP_BIND", "0.0.0.0")
    monkeypatch.setenv("EDGELOOP_HOSTS", "cloud,blob=storage, azurite-north=azurite-north,releases=192.0.2.7")


def test_loopback_is_the_default(tmp_path):
    home = Home.create(tmp_path, 21000, ["north"])
    assert home.place == Place()
    assert home.url("blob") == "https://localhost:21001"
    assert {program.address for program in programs(home)} == {"127.0.0.1"}


def test_programs_are_reached_by_the_names_of_their_containers(tmp_path, containers):
    home = Home.create(tmp_path, 21000, ["north"])
    assert home.url("cloud") == "https://cloud:21000"
    assert home.blob_url("edgeloopnorth") == "https://storage:21001/edgeloopnorth"
    assert Azurite(home, "north").blob_url == "http://azurite-north:21012"
    assert Azurite(home).blob_url == "http://127.0.0.1:21005"
    assert home.place.bind == "0.0.0.0"


def test_the_certificate_holds_their_names(tmp_path, containers):
    home = Home.create(tmp_path, 21000, ["north"])
    certificate = x509.load_pem_x509_certificate(home.cert.read_bytes())
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"cloud", "storage", "localhost"} <= {*held.get_values_for_type(x509.DNSName)}
    assert "192.0.2.7" in map(str, held.get_values_for_type(x509.IPAddress))


def test_a_home_keeps_its_place(tmp_path, containers, monkeypatch):
    made = Home.create(tmp_path, 21000, ["north"])
    for name in ("EDGELOOP_BIND", "EDGELOOP_HOSTS"):
        monkeypatch.delenv(name)
    assert Home.create(tmp_path).place == made.place
    monkeypatch.setenv("EDGELOOP_HOSTS", "elsewhere")
    with pytest.raises(HomeError, match="make clean"):
        Home.create(tmp_path)


def test_sites_on_a_real_cluster_are_not_started(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGELOOP_SITE_KUBECONFIG", "admin.kubeconfig")
    home = Home.create(tmp_path, 21000, ["north"])
    assert home.place.site_kubeconfig.startswith("/")
    assert not [program.name for program in programs(home) if program.name.startswith(("kubernetes", "node"))]
