"""What the function and the command are told by their environment. The DAG reads the same from Airflow Connections."""

import atexit
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient

from include.domain import naming
from include.domain.border import Policy

STACK_HUB_API = "2019-07-07"
"""Newest storage API that Azure Stack Hub speaks."""
WORKLOADS = Path(__file__).parent.parent / "workloads"


class SettingsError(ValueError):
    """The environment lacks something."""


@dataclass(frozen=True)
class Account:
    """A storage account and one endpoint of it."""

    endpoint: str
    name: str
    key: str = field(repr=False)
    verify: str | bool

    def queue(self, name: str) -> QueueClient:
        """Client of one queue."""
        return QueueClient(
            self.endpoint, name, credential=self._credential, api_version=STACK_HUB_API, connection_verify=self.verify, retry_total=4
        )

    def container(self, name: str) -> ContainerClient:
        """Client of one container."""
        return ContainerClient(
            self.endpoint, name, credential=self._credential, api_version=STACK_HUB_API, connection_verify=self.verify, retry_total=4
        )

    @property
    def _credential(self) -> dict[str, str]:
        return {"account_name": self.name, "account_key": self.key}


@dataclass(frozen=True)
class Settings:
    """One workload at one site.

    `EDGELOOP_WORKLOAD, EDGELOOP_SITE, EDGELOOP_PSEUDONYM_KEY, EDGELOOP_CA_PEM`; the site's `EDGELOOP_QUEUE_ENDPOINT,
    EDGELOOP_STORAGE_ACCOUNT, EDGELOOP_STORAGE_KEY`; the lake's `EDGELOOP_LAKE_ENDPOINT, EDGELOOP_LAKE_ACCOUNT, EDGELOOP_LAKE_KEY`.
    """

    workload: str
    site: str
    queues: Account
    said: Mapping[str, str] = field(repr=False)

    @classmethod
    def read(cls, said: Mapping[str, str]) -> "Settings":
        """From environment variables; SettingsError names the one that is missing. The lake's are asked for when it is used."""
        verify = _authorities(said.get("EDGELOOP_CA_PEM", ""))
        queues = _account(said, "EDGELOOP_QUEUE_ENDPOINT", "EDGELOOP_STORAGE_ACCOUNT", "EDGELOOP_STORAGE_KEY", verify)
        return cls(_required(said, "EDGELOOP_WORKLOAD"), _required(said, "EDGELOOP_SITE"), queues, said)

    @property
    def queue(self) -> QueueClient:
        """The workload's queue."""
        return self.queues.queue(naming.queue(self.workload))

    @property
    def poison(self) -> QueueClient:
        """Its poison queue."""
        return self.queues.queue(naming.poison_queue(self.workload))

    @property
    def container(self) -> ContainerClient:
        """Compliant storage."""
        lake = _account(self.said, "EDGELOOP_LAKE_ENDPOINT", "EDGELOOP_LAKE_ACCOUNT", "EDGELOOP_LAKE_KEY", self.queues.verify)
        return lake.container(naming.COMPLIANT)

    @property
    def pseudonym_key(self) -> bytes:
        """The site's secret for pseudonyms."""
        return _required(self.said, "EDGELOOP_PSEUDONYM_KEY").encode()

    @property
    def policy(self) -> Policy:
        """The workload's border.yaml."""
        return read_policy(WORKLOADS / self.workload / "border.yaml")


def read_policy(path: Path) -> Policy:
    """A border.yaml; PolicyError says what is wrong with it."""
    return Policy.read(yaml.safe_load(path.read_text(encoding="utf-8")))


def _account(said: Mapping[str, str], endpoint: str, name: str, key: str, verify: str | bool) -> Account:
    return Account(_required(said, endpoint), _required(said, name), _required(said, key), verify)


def _required(said: Mapping[str, str], name: str) -> str:
    if not said.get(name):
        raise SettingsError(f"the environment lacks {name}")
    return said[name]


def _authorities(pem: str) -> str | bool:
    """What the SDKs take as `connection_verify`: they want a file. True: the system's authorities."""
    if not pem.strip():
        return True
    handle, path = tempfile.mkstemp(prefix="edgeloop-ca-", suffix=".pem")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(pem)
    atexit.register(os.unlink, path)
    return path
