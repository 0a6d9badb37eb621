"""What containers of other images are given: each kind its own folder, nothing of the others in it."""

import bcrypt

from include.standin import keys
from include.standin.home import Home


def test_each_kind_gets_its_own(tmp_path):
    home = Home.create(tmp_path / "home", 21000, ["north"])
    keys.hand_out(home, tmp_path / "keys")
    folders = {folder.name: "".join(file.read_text() for file in folder.iterdir()) for folder in (tmp_path / "keys").iterdir()}
    assert folders.keys() == {"airflow", "postgres", "azurite", "registry", "k3s"}
    secrets = {
        "airflow": home.identity.airflow_jwt_secret,
        "azurite": home.account_key("edgeloopnorth"),
        "registry": home.key.read_text(),
    }
    for owner, secret in secrets.items():
        assert [name for name, content in folders.items() if secret in content] == [owner]


def test_the_database_and_airflow_agree(tmp_path):
    home = Home.create(tmp_path / "home", 21000, ["north"])
    keys.hand_out(home, tmp_path / "keys")
    password = (tmp_path / "keys" / "postgres" / "password").read_text()
    assert f":{password}@postgres/" in (tmp_path / "keys" / "airflow" / "database").read_text()


def test_a_registry_takes_the_login(tmp_path):
    home = Home.create(tmp_path / "home", 21000, ["north"])
    keys.hand_out(home, tmp_path / "keys")
    user, _, hashed = (tmp_path / "keys" / "registry" / "htpasswd").read_text().strip().partition(":")
    assert user == home.identity.registry_user
    assert bcrypt.checkpw(home.identity.registry_password.encode(), hashed.encode())


def test_a_second_time_changes_nothing(tmp_path):
    home = Home.create(tmp_path / "home", 21000, ["north"])
    keys.hand_out(home, tmp_path)
    before = (tmp_path / "registry" / "htpasswd").read_text()
    keys.hand_out(home, tmp_path)
    assert (tmp_path / "registry" / "htpasswd").read_text() == before


def test_others_read_nothing(tmp_path):
    keys.hand_out(Home.create(tmp_path / "home", 21000, ["north"]), tmp_path / "keys")
    assert all(not file.stat().st_mode & 0o007 for file in (tmp_path / "keys").rglob("*") if file.is_file())
