"""Secrets of an embedded cloud for containers that run other programs: files, in a folder for each kind, which only they are given."""

import base64
import hashlib
import json
from pathlib import Path

import bcrypt

from include.standin import private
from include.standin.home import Home
from include.standin.storage.azurite import all_of

ADMIN = "admin"
DATABASE_USER = "airflow"
MODE = 0o640
"""Group 0 reads: the other programs run as root without the right to read what is not theirs."""


def fernet_key(home: Home) -> str:
    """The key that Airflow encrypts Connections in its database with."""
    return base64.urlsafe_b64encode(hashlib.sha256(home.identity.airflow_secret.encode()).digest()).decode()


def database_password(home: Home) -> str:
    """Password of Airflow's database."""
    return hashlib.sha256(f"database {home.identity.airflow_secret}".encode()).hexdigest()


def hand_out(home: Home, folder: Path) -> None:
    """Write a folder for each kind (`airflow`, `postgres`, ...); files that are there stay as they are, since programs hold them."""
    known = home.identity
    database = f"postgresql+psycopg://{DATABASE_USER}:{database_password(home)}@postgres/airflow"
    files = {
        "airflow/database": database,
        "airflow/fernet_key": fernet_key(home),
        "airflow/secret_key": known.airflow_secret,
        "airflow/jwt_secret": known.airflow_jwt_secret,
        "airflow/passwords.json": json.dumps({ADMIN: known.airflow_password}),
        "postgres/password": database_password(home),
        "registry/server.pem": home.cert.read_text(encoding="ascii"),
        "registry/server.key": home.key.read_text(encoding="ascii"),
        "k3s/ca.pem": home.ca.read_text(encoding="ascii"),
        "registry/htpasswd": _htpasswd(known.registry_user, known.registry_password),
        **{f"azurite/{one.name}": f"{one.account}:{home.account_key(one.account)}" for one in all_of(home)},
    }
    for name, content in files.items():
        if not (folder / name).exists():
            private.write(folder / name, content.encode(), MODE)


def _htpasswd(user: str, password: str) -> str:
    return f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()}\n"
