"""The lake through the real SDK: a write replaces, a name is a partition, content is named by its hash. The ledger on top of it."""

import base64
import hashlib
from datetime import date

import pyarrow as pa
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError

from edgeloop import ledger
from edgeloop.exceptions import ConnectionIncomplete
from edgeloop.hooks.lake import LakeHook
from edgeloop.hooks.storage import StorageHook
from include.domain.windows import Window

TABLE = pa.table({"turbine": ["a", "b"], "power_kw": [1.0, None]})


@pytest.fixture
def lake(storage, connections):
    return LakeHook()


def test_a_rerun_replaces_and_never_adds(lake):
    days = {date(2014, 1, d): TABLE for d in (1, 2, 3)}
    first = lake.write_partitions("lake_test", "raw", "north", "rows.parquet", days)
    hashes = [blob.content_md5 for blob in lake.blobs("lake_test/raw/")]
    again = lake.write_partitions("lake_test", "raw", "north", "rows.parquet", days)
    assert first == again
    assert [blob.content_md5 for blob in lake.blobs("lake_test/raw/")] == hashes, "the same rows gave other bytes"
    found = lake.partitions("lake_test", "raw", ["north"], Window(date(2014, 1, 2), date(2014, 1, 9)))
    assert [blob.name for blob in found] == first[1:]
    assert dict(lake.read_tables(first))[first[0]].equals(TABLE)


def test_content_is_named_by_its_hash(lake):
    lake.write("lake_test/hash.bin", b"watts")
    wanted = base64.b64encode(hashlib.md5(b"watts", usedforsecurity=False).digest()).decode()
    assert [blob.content_md5 for blob in lake.blobs("lake_test/hash.bin")] == [wanted]


def test_what_is_not_there_is_none(lake):
    assert lake.read_or_none("lake_test/nothing") is None
    lake.delete("lake_test/nothing")


def test_the_ledger_keeps_the_facts_of_a_step(lake):
    ledger.record("lake_test", "sha256:" + "0" * 64, "gate", {"decision": "accepted"})
    found = ledger.read("lake_test", "sha256:" + "0" * 64, "gate")
    assert found is not None
    assert found["decision"] == "accepted"
    assert found["subject"] == "sha256:" + "0" * 64
    assert ledger.read("lake_test", "sha256:" + "0" * 64, "sign") is None
    assert "sha256:" + "0" * 64 in ledger.subjects("lake_test")


def test_a_wrong_key_and_a_wrong_ca_are_refused(storage, connections, monkeypatch, tmp_path):
    import json

    said = connections["edgeloop_lake"]
    monkeypatch.setenv("AIRFLOW_CONN_LAKE_WRONG_KEY", json.dumps({**said, "password": base64.b64encode(b"no" * 32).decode()}))
    with pytest.raises(HttpResponseError, match=r"AuthorizationFailure|AuthenticationFailed"):
        LakeHook("lake_wrong_key").read("x")
    from include.standin.home import Home, free_port_base

    stranger = Home.create(tmp_path / "stranger", free_port_base(1), ["north"])
    extra = {**said["extra"], "ca_bundle": str(stranger.ca)}  # type: ignore[dict-item]
    monkeypatch.setenv("AIRFLOW_CONN_LAKE_WRONG_CA", json.dumps({**said, "extra": extra}))
    hook = StorageHook("lake_wrong_ca")
    with pytest.raises(ServiceRequestError, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
        hook.blobs.get_account_information(retry_total=0)


def test_an_incomplete_connection_says_what_to_enter(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LAKE_PLAIN", '{"conn_type": "generic", "host": "http://x", "login": "a", "password": "b"}')
    with pytest.raises(ConnectionIncomplete, match=r"lake_plain needs the account's blob endpoint.*docs/connections.md"):
        LakeHook("lake_plain").read("x")
