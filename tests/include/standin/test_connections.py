"""The Connections are what Airflow and the hooks can read."""

import json
import stat

import pytest
from cryptography.hazmat.primitives import serialization

from edgeloop.hooks.cloud import CloudHook
from edgeloop.hooks.storage import StorageHook
from include import settings
from include.domain import naming
from include.standin import connections as module
from include.standin import signing
from include.standin.home import Home, HomeError


def test_every_connection_of_the_contract_is_there(connections, home: Home):
    wanted = {settings.CLOUD, settings.LAKE, settings.CANDIDATES, settings.RELEASES, settings.SIGNING}
    for site in home.sites:
        wanted |= {settings.site_cluster(site), settings.site_storage(site)}
    assert connections.keys() == wanted


def test_airflow_reads_the_file(home: Home):
    from airflow.secrets.local_filesystem import LocalFilesystemBackend

    file = module.write(home, module.connections(home))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    backend = LocalFilesystemBackend(connections_file_path=str(file))
    for name in json.loads(file.read_text()):
        assert backend.get_connection(name) is not None
    assert backend.get_connection(settings.LAKE).extra_dejson["queue_endpoint"].startswith("https://")


def test_the_cloud_hook_reads_its_profile(connections, home: Home):
    profile = CloudHook().profile
    assert profile.authority == profile.resource_manager == home.url("cloud")
    assert profile.approval == "automatic"
    assert profile.power_bi is not None
    assert profile.power_bi.dataset_id == home.identity.dataset_id


@pytest.mark.parametrize("name", [settings.LAKE, settings.site_storage("north")])
def test_the_storage_hook_speaks_to_the_account(connections, storage, name):
    hook = StorageHook(name)
    hook.container(naming.LANDING).upload_blob(f"hello/{name}", b"x", overwrite=True)
    assert hook.container(naming.LANDING).download_blob(f"hello/{name}").readall() == b"x"


def test_the_cluster_is_a_kubeconfig_in_json(connections, home: Home):
    said = connections[settings.site_cluster("north")]
    config = json.loads(said["extra"]["kube_config"])
    assert config["clusters"][0]["cluster"]["server"] == home.url("kubernetes-north")
    assert said["extra"]["namespace"] == "edgeloop"


def test_registries_name_their_base_images(connections):
    assert ":" in connections[settings.CANDIDATES]["extra"]["scoring_base"]
    assert ":" in connections[settings.RELEASES]["extra"]["rollout_image"]


def test_the_signing_keys_are_a_pair_and_stay(tmp_path):
    home = Home.create(tmp_path, 21000, ["north"])
    private = serialization.load_pem_private_key(signing.private_key(home).read_bytes(), None)
    public = serialization.load_pem_public_key(signing.public_key(home).read_bytes())
    assert private.public_key() == public
    before = signing.private_key(home).read_bytes()
    assert signing.private_key(home).read_bytes() == before
    assert stat.S_IMODE(signing.private_key(home).stat().st_mode) == 0o600


def test_what_the_user_says_goes_over_it_field_by_field(tmp_path, monkeypatch):
    own = tmp_path / "own.yaml"
    own.write_text("edgeloop_lake: {extra: {web_url: 'https://pages.example'}}\nmine: {conn_type: generic}\n")
    monkeypatch.setenv("EDGELOOP_CONNECTIONS", str(own))
    found = module.connections(Home.create(tmp_path / "home", 21000, ["north"]))
    assert found["edgeloop_lake"]["extra"]["web_url"] == "https://pages.example"
    assert found["edgeloop_lake"]["extra"]["api_version"] == "2019-07-07"
    assert found["mine"] == {"conn_type": "generic"}


@pytest.mark.parametrize("content", ["[1]", "edgeloop_lake: text", "{"])
def test_a_file_that_says_something_else_is_named(tmp_path, monkeypatch, content):
    own = tmp_path / "own.yaml"
    own.write_text(content)
    monkeypatch.setenv("EDGELOOP_CONNECTIONS", str(own))
    with pytest.raises(HomeError, match=r"own\.yaml"):
        module.connections(Home.create(tmp_path / "home", 21000, ["north"]))


def test_an_airflow_elsewhere_gets_the_ca_with_its_path(tmp_path):
    home = Home.create(tmp_path / "home", 21000, ["north"])
    (tmp_path / "airflow").mkdir()
    file = module.hand_out(home, module.connections(home), tmp_path / "airflow")
    said = json.loads(file.read_text())
    assert said["edgeloop_cloud"]["extra"]["ca_bundle"] == str(tmp_path / "airflow" / "ca.pem")
    assert (tmp_path / "airflow" / "ca.pem").read_bytes() == home.ca.read_bytes()
    assert str(home.path) not in file.read_text()


def test_airflow_is_no_administrator_of_a_site(connections):
    config = json.loads(connections[settings.site_cluster("north")]["extra"]["kube_config"])
    assert config["users"][0]["name"] == "edgeloop-airflow"
