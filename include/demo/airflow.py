"""Airflow for one machine: its components under a supervisor, SQLite, LocalExecutor. `python -m include.demo.airflow up|down|status`.

`airflow standalone` does not restart a component that dies, and costs 140 MB more. For more than one machine: helm-values/airflow.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from include.settings import ROOT
from include.standin import keys
from include.standin.home import Home
from include.standin.keys import ADMIN
from include.standin.programs import Program
from include.standin.supervision import SupervisionError, Supervisor, describe

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
HEALTHY_WITHIN = 300.0
"""Seconds to the first heartbeats; 14 on a quiet machine."""
PARALLELISM = 4
"""Tasks at once; LocalExecutor forks as many workers when it starts, 45 MB each."""


@dataclass(frozen=True)
class Login:
    """Where the UI is, and who may come in."""

    url: str
    user: str
    password: str


def login(home: Home) -> Login:
    """The administrator's login."""
    host = home.place.hosts.get("airflow", "localhost")
    return Login(f"http://{host}:{home.port('airflow')}", ADMIN, home.identity.airflow_password)


def settings(home: Home) -> dict[str, str]:
    """Airflow's configuration, as the variables of its environment."""
    folder = home.folder("airflow")
    port = home.port("airflow")
    known = home.identity
    backend = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    connections = json.dumps({"connections_file_path": str(home.path / "connections.json")})
    said: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": ROOT / "dags",
            "plugins_folder": ROOT / "plugins",
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "executor": "LocalExecutor",
            "parallelism": PARALLELISM,
            "mp_start_method": "fork",
            "fernet_key": keys.fernet_key(home),
            "simple_auth_manager_users": f"{ADMIN}:admin",
            "simple_auth_manager_passwords_file": folder / "passwords.json",
            "execution_api_server_url": f"http://127.0.0.1:{port}/execution/",
            "dagbag_import_timeout": 60,
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{folder / 'airflow.db'}"},
        "api": {
            "host": "127.0.0.1",
            "port": port,
            "base_url": f"http://localhost:{port}",
            "workers": 1,
            "secret_key": known.airflow_secret,
            "instance_name": "edgeloop",
        },
        "api_auth": {"jwt_secret": known.airflow_jwt_secret, "jwt_issuer": "edgeloop"},
        "scheduler": {
            "scheduler_idle_sleep_time": 0.05,
            # tasks of a scheduler that was killed are looked for at the next one's start, when nobody knows yet, and then so often
            "orphaned_tasks_check_interval": 10,
            "task_instance_heartbeat_timeout": 30,
            "task_instance_heartbeat_timeout_detection_interval": 5,
        },
        "dag_processor": {"parsing_processes": 1, "refresh_interval": 10, "min_file_process_interval": 15},
        "secrets": {"backend": backend, "backend_kwargs": connections},
        "workers": {"secrets_backend": backend, "secrets_backend_kwargs": connections},
        "usage_data_collection": {"enabled": False},
        # the SDKs tell each request at INFO: dozens of lines before the first one that says something
        "logging": {"base_log_folder": folder / "logs", "namespace_levels": "azure=WARNING httpx=WARNING"},
    }
    return {f"AIRFLOW__{section.upper()}__{name.upper()}": str(value) for section, keys in said.items() for name, value in keys.items()}


def environment(home: Home) -> dict[str, str]:
    """The whole environment of an Airflow process of this home. What the caller's environment says of another Airflow is left out."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {
        **inherited,
        **settings(home),
        "AIRFLOW_HOME": str(home.folder("airflow")),
        "EDGELOOP_HOME": str(home.path),
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "plugins"))),
        "NO_PROXY": "localhost,127.0.0.1",
        "no_proxy": "localhost,127.0.0.1",
        "ORT_DISABLE_TELEMETRY": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "AZURE_TELEMETRY_DISABLED": "1",
    }


def programs(home: Home) -> list[Program]:
    """Airflow's components."""
    found = []
    for name in COMPONENTS:
        command = (sys.executable, "-m", "include.demo.airflow", "run", name)
        is_server = name == "api-server"
        health = f"{login(home).url}/api/v2/version" if is_server else None
        found.append(Program(name, command, (home.port("airflow"),) if is_server else (), health, stop_within=15))
    return found


def supervisor(home: Home) -> Supervisor:
    """The supervisor of the components."""
    return Supervisor(home, programs(home), "airflow")


def run(home: Home, name: str) -> None:
    """Become a component. Does not return."""
    # Logs lie on the disk that the API server reads: nobody needs the components to serve them.
    flags = ["--skip-serve-logs"] if name in ("scheduler", "triggerer") else []
    os.execve(sys.executable, [sys.executable, "-m", "include.preloaded", name, *flags], environment(home))  # noqa: S606 - no shell is wanted


def migrate(home: Home) -> None:
    """Bring the database to this Airflow's schema and write the password; once for each version."""
    folder = home.folder("airflow")
    _write_passwords(home, folder / "passwords.json")
    stamp = folder / ".migrated"
    wanted = version("apache-airflow")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted and (folder / "airflow.db").exists():
        return
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    done = subprocess.run(command, cwd=ROOT, env=environment(home), capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        complaint = done.stderr[-2000:]
        raise SupervisionError(f"Airflow's database {folder / 'airflow.db'} was not migrated; remove it and start again:\n{complaint}")
    stamp.write_text(wanted, encoding="utf-8")


def _write_passwords(home: Home, file: Path) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        json.dump({ADMIN: home.identity.airflow_password}, out)


def health(home: Home) -> dict[str, str]:
    """Component -> `healthy` or `unhealthy`, by heartbeat, as Airflow says; empty when the API server does not answer."""
    try:
        with urllib.request.urlopen(f"{login(home).url}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310 - our own URL
            said = json.load(answer)
    except (OSError, ValueError):
        return {}
    return {name: str(found.get("status")) for name, found in said.items() if isinstance(found, dict)}


def up(home: Home, within: float = HEALTHY_WITHIN) -> bool:
    """Start Airflow and wait until every component has a heartbeat. False when it ran already; SupervisionError when it cannot."""
    migrate(home)
    started = supervisor(home).up(within)
    deadline = time.monotonic() + within
    while True:
        found = health(home)
        if found and all(status == "healthy" for status in found.values()):
            return started
        if time.monotonic() > deadline:
            raise SupervisionError(f"Airflow is not healthy after {within:.0f} s: {found}; its logs are in {home.path / 'logs'}")
        time.sleep(0.5)


def down(home: Home) -> None:
    """Stop Airflow's components; `python -m include.standin down` also ends the tasks that they left."""
    supervisor(home).stop()


def main(arguments: list[str]) -> int:
    """The command; gives its exit code."""
    parser = argparse.ArgumentParser(prog="python -m include.demo.airflow", description="Airflow on this machine")
    parser.add_argument("command", choices=("up", "down", "status", "run"))
    parser.add_argument("component", nargs="?", choices=COMPONENTS)
    said = parser.parse_args(arguments)
    home = Home.open()
    try:
        if said.command == "run":
            run(home, said.component or "api-server")
        elif said.command == "down":
            down(home)
        elif said.command == "status":
            print(describe(supervisor(home).status()), json.dumps(health(home)), sep="\n")
        else:
            up(home)
            who = login(home)
            print(f"Airflow: {who.url} (user {who.user}, password in {home.path / 'airflow' / 'passwords.json'})")
    except SupervisionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
