"""A home is made once and found again."""

import json
import socket
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from include.standin.home import Home, HomeError, free_port_base, port_taken


def test_a_second_call_finds_the_same_home(tmp_path):
    first = Home.create(tmp_path / "a", 21000, ["north", "south"])
    second = Home.create(tmp_path / "a", 25000, ["elsewhere"])
    assert second == first
    assert second.identity.port_base == 21000


def test_processes_that_start_at_once_agree(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: Home.create(tmp_path / "a", 21000, ["north"]), range(8)))
    assert len({home.identity.client_secret for home in found}) == 1
    assert {file.name for file in (tmp_path / "a").iterdir()} == {"home.json", "ca"}


def test_ports_are_those_of_the_contract(tmp_path):
    home = Home.create(tmp_path, 21000, ["north", "south"])
    assert [home.port(name) for name in ("cloud", "blob", "queue", "candidates", "releases", "azurite-cloud", "airflow")] == [
        21000, 21001, 21002, 21003, 21004, 21005, 21008,
    ]  # fmt: skip
    assert [home.port(f"{kind}-south") for kind in ("kubernetes", "node", "azurite")] == [21020, 21021, 21022]
    assert home.port("azurite-north-queue") == 21013
    assert len({*home.ports.values()}) == len(home.ports)


def test_unknown_names_say_what_there_is(tmp_path):
    home = Home.create(tmp_path, 21000, ["north"])
    with pytest.raises(KeyError, match="there are cloud, blob"):
        home.port("kubernetes-mars")
    with pytest.raises(KeyError, match="which has north"):
        home.site_number("mars")


def test_what_environment_variables_say_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGELOOP_HOME", str(tmp_path / "named"))
    monkeypatch.setenv("EDGELOOP_PORT_BASE", "22000")
    home = Home.open()
    assert home.path == tmp_path / "named"
    assert home.url("cloud") == "https://localhost:22000"


def test_secrets_are_for_the_owner(tmp_path):
    home = Home.create(tmp_path / "a", 21000, ["north"])
    for file in (home.path / "home.json", home.key, home.ca_key):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.folder("data_factory").stat().st_mode) == 0o700


@pytest.mark.parametrize("content", ["", "[]", "{", '{"port_base": 1}'])
def test_a_damaged_home_says_what_to_do(tmp_path, content):
    (tmp_path / "home.json").write_text(content)
    with pytest.raises(HomeError, match="remove its folder"):
        Home.create(tmp_path)


def test_accounts_have_names_that_azure_takes(tmp_path):
    home = Home.create(tmp_path, 21000, ["north-1"])
    assert home.account("north-1") == "edgeloopnorth1"
    assert home.account_key("edgeloopnorth1") != home.account_key(home.account())


def test_a_port_in_use_is_seen(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert port_taken(taken.getsockname()[1])
    base = free_port_base(2)
    assert not any(port_taken(port) for port in range(base, base + 30))


def test_the_file_is_json(tmp_path):
    Home.create(tmp_path, 21000, ["north"])
    assert json.loads((tmp_path / "home.json").read_text())["sites"] == ["north"]
