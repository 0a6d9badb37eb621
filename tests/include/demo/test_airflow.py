"""How the demo's Airflow is set up. That it runs is shown by the loop itself (tests/e2e)."""

import json
import stat

from include.demo import airflow
from include.standin.home import Home


def _home(tmp_path) -> Home:
    return Home.create(tmp_path, 21000, ["north"])


def test_nothing_of_another_airflow_gets_in(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://production")
    monkeypatch.setenv("AIRFLOW_CONN_EDGELOOP_LAKE", "{}")
    home = _home(tmp_path)
    found = airflow.environment(home)
    assert found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == f"sqlite:///{tmp_path / 'airflow' / 'airflow.db'}"
    assert "AIRFLOW_CONN_EDGELOOP_LAKE" not in found
    assert found["EDGELOOP_HOME"] == str(tmp_path)


def test_connections_come_from_the_home(tmp_path):
    home = _home(tmp_path)
    for name in ("AIRFLOW__SECRETS__BACKEND_KWARGS", "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS"):
        assert json.loads(airflow.settings(home)[name]) == {"connections_file_path": str(tmp_path / "connections.json")}


def test_keys_are_long_and_stay(tmp_path):
    home = _home(tmp_path)
    said = airflow.settings(home)
    assert said == airflow.settings(Home.create(tmp_path))
    assert min(len(said["AIRFLOW__API__SECRET_KEY"]), len(said["AIRFLOW__API_AUTH__JWT_SECRET"])) >= 64


def test_nothing_leaves_the_machine(tmp_path):
    found = airflow.environment(_home(tmp_path))
    assert found["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"
    assert found["GX_ANALYTICS_ENABLED"] == "false"
    assert found["ORT_DISABLE_TELEMETRY"] == "1"
    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"


def test_the_password_is_for_the_owner(tmp_path):
    home = _home(tmp_path)
    (home.folder("airflow") / ".migrated").write_text(airflow.version("apache-airflow"))
    (home.folder("airflow") / "airflow.db").touch()
    airflow.migrate(home)
    file = tmp_path / "airflow" / "passwords.json"
    assert json.loads(file.read_text()) == {"admin": airflow.login(home).password}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_every_component_is_supervised(tmp_path):
    assert [program.name for program in airflow.programs(_home(tmp_path))] == ["api-server", "scheduler", "dag-processor", "triggerer"]
