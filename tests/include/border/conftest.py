"""A site's queue and the lake's container, each test with a workload of its own."""

import base64
import io
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient
from uuid6 import uuid7

from include.border.drain import Report, drain
from include.border.store import committed
from include.domain.border import Policy
from include.standin.home import Home

API = "2019-07-07"
POLICY = Policy.read(
    yaml.safe_load("""
destination: EU
retention_days: 30
smallest_group: 3
time_minutes: 10
jurisdictions:
  FR: {events: [edgeloop.insight, edgeloop.anomaly, edgeloop.feedback], to: [EU]}
events:
  edgeloop.insight: &fields
    turbine: {action: keep, kind: text, pattern: "R[0-9]+"}
    power_kw: {action: generalise, kind: number, step: 0.1}
    label: {action: keep, kind: text, pattern: "confirmed|false_alarm|maintenance"}
    event: {action: keep, kind: text, pattern: "[0-9a-f-]{36}"}
  edgeloop.feedback: *fields
""")
)


@dataclass
class Site:
    """What one test works on."""

    workload: str
    queue: QueueClient
    poison: QueueClient
    container: ContainerClient
    lake: ContainerClient
    queue_url: str
    blob_url: str
    accounts: dict[str, str]
    ca: str

    def event(self, **change: Any) -> dict[str, Any]:
        return make_event(self.workload, **change)

    def send(self, *events: Any) -> None:
        self.queue.send_message(base64.b64encode(json.dumps(events).encode()).decode())

    def drain(self, container: Any = None, queue: Any = None, seconds: float = 60) -> Report:
        return drain(
            queue or self.queue,
            self.poison,
            container or self.container,
            POLICY,
            workload=self.workload,
            site="north",
            pseudonym_key=b"k",
            deadline=time.time() + seconds,
        )

    def stored(self) -> list[dict[str, Any]]:
        """Rows of the files that commits name."""
        names = [file.name for commit in committed(self.container, self.workload, "north") for file in commit.files]
        return [row for name in names for row in pq.read_table(io.BytesIO(self.container.download_blob(name).readall())).to_pylist()]

    def refused(self) -> int:
        return sum(sum(commit.refused.values()) for commit in committed(self.container, self.workload, "north"))

    def poisoned(self) -> list[dict[str, Any]]:
        """What lies in the poison queue; looked at, not taken."""
        return [json.loads(base64.b64decode(message.content)) for message in self.poison.peek_messages(max_messages=32)]

    def left(self) -> int:
        return int(self.queue.get_queue_properties().approximate_message_count)


def make_event(workload: str, **change: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(uuid7()),
        "source": f"/sites/north/workloads/{workload}",
        "type": "edgeloop.insight",
        "time": "2015-01-03T10:29:00Z",
        "site": "north",
        "jurisdiction": "FR",
        "workload": workload,
        "modeldigest": "sha256:" + "a" * 64,
        "release": "unreleased",
        "snapshot": "sha256:" + "c" * 64,
        "data": {"turbine": "R80711", "power_kw": 100.04, "comment": "call Anna"},
        **change,
    }


@pytest.fixture
def site(storage: Home) -> Iterator[Site]:
    account, lake = storage.account("north"), storage.account()
    accounts = {name: storage.account_key(name) for name in (account, lake)}
    workload = f"w{uuid.uuid4().hex[:12]}"
    ca = str(storage.ca)

    def queue(name: str) -> QueueClient:
        credential = {"account_name": account, "account_key": accounts[account]}
        client = QueueClient(storage.queue_url(account), name, credential=credential, api_version=API, connection_verify=ca)
        client.create_queue()
        return client

    def container(name: str) -> ContainerClient:
        credential = {"account_name": lake, "account_key": accounts[lake]}
        return ContainerClient(storage.blob_url(lake), name, credential=credential, api_version=API, connection_verify=ca)

    made = [queue(workload), queue(f"{workload}-poison")]
    yield Site(workload, *made, container("compliant"), container("lake"), storage.queue_url(account), storage.blob_url(lake), accounts, ca)
    for client in made:
        client.delete_queue()
