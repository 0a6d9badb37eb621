"""What edgeloop asks of a storage account, on the stand-in's two kinds of accounts and on plain Azurite behind neither TLS nor rules.

Only what the loop uses: blobs, listings, conditions and ranges of the lake, the log and the datastore, the queues of scorer and drain.
"""

import base64
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient, ContainerSasPermissions, ContentSettings, generate_container_sas
from azure.storage.queue import QueueClient, QueueServiceClient

from edgeloop.hooks.storage import STACK_HUB_API
from include.border.lease import PAGE, Lease
from include.border.store import Commit, Log, write_file
from include.standin.data_factory.blobs import Blobs
from include.standin.data_factory.exceptions import CopyError
from include.standin.home import Home
from include.standin.serving import client_context
from include.standin.storage.azurite import Azurite
from tests.include.standin.node.site import wait

FOR_EVER = -1
LARGEST_MESSAGE = 64 * 1024
"""Bytes of a queue message's text. (Azure Storage scalability targets)"""


@dataclass(frozen=True)
class Account:
    """A storage account by its endpoints."""

    name: str
    key: str
    blob_url: str
    queue_url: str
    ca: str | None

    def arguments(self, key: str | None = None) -> dict[str, Any]:
        """As the hooks make their clients."""
        credential = {"account_name": self.name, "account_key": key or self.key}
        return {"credential": credential, "api_version": STACK_HUB_API, "connection_verify": self.ca or True, "retry_total": 0}


@pytest.fixture(scope="module", params=["cloud's account", "site's account", "Azurite"])
def account(request: pytest.FixtureRequest, storage: Home) -> Account:
    site = "north" if request.param.startswith("site") else None
    name = storage.account(site)
    if request.param == "Azurite":
        behind = Azurite(storage)
        blob, queue, ca = f"{behind.blob_url}/{name}", f"{behind.queue_url}/{name}", None
    else:
        blob, queue, ca = storage.blob_url(name), storage.queue_url(name), str(storage.ca)
    return Account(name, storage.account_key(name), blob, queue, ca)


@pytest.fixture(scope="module")
def container(account: Account) -> Iterator[ContainerClient]:
    with BlobServiceClient(account.blob_url, **account.arguments()) as blobs:
        made = blobs.create_container(f"contract-{uuid.uuid4().hex[:8]}")
        yield made
        made.delete_container()


@pytest.fixture
def queue(account: Account) -> Iterator[QueueClient]:
    with QueueServiceClient(account.queue_url, **account.arguments()) as queues:
        made = queues.create_queue(f"contract-{uuid.uuid4().hex[:8]}")
        yield made
        made.delete_queue()


def refused(code: str, call: Callable[[], object], status: int) -> None:
    with pytest.raises(HttpResponseError) as error:
        call()
    assert (error.value.status_code, code_of(error.value)) == (status, code)


def code_of(error: HttpResponseError) -> str:
    """The service's own code; the SDK gives it as a string or as a member of an enumeration."""
    return str(getattr(error.error_code, "value", error.error_code))


# blobs


@pytest.mark.parametrize("name", ["empty", "wind_power/raw/site=north/date=2014-01-01/a b+%ü.parquet"])
def test_a_blob_comes_back_with_its_type_and_md5(container: ContainerClient, name: str) -> None:
    data = b"" if name == "empty" else os.urandom(20_000)
    for content in (b"before", data):
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        settings = ContentSettings(content_type="application/x-test", content_md5=bytearray(md5))
        container.upload_blob(name, content, overwrite=True, content_settings=settings)
    assert container.download_blob(name).readall() == data
    (listed,) = container.list_blobs(name_starts_with=name)
    assert (listed.name, listed.size, bytes(listed.content_settings.content_md5)) == (name, len(data), md5)
    assert listed.content_settings.content_type == "application/x-test"


def test_a_large_blob_is_sent_and_read_in_parts(container: ContainerClient) -> None:
    data = os.urandom(5 << 20)
    blob = container.get_blob_client("parts")
    blob.upload_blob(iter([data[: 2 << 20], data[2 << 20 :]]), overwrite=True)
    assert blob.get_blob_properties().size == len(data)
    assert blob.download_blob().readall() == data
    assert blob.download_blob(offset=7, length=100).readall() == data[7:107]
    assert blob.download_blob(offset=len(data) - 3).readall() == data[-3:]
    refused("InvalidRange", lambda: blob.download_blob(offset=len(data) + 1, length=1).readall(), 416)


def test_what_is_not_there(container: ContainerClient, account: Account) -> None:
    refused("BlobNotFound", lambda: container.download_blob("none"), 404)
    refused("BlobNotFound", lambda: container.delete_blob("none"), 404)
    with pytest.raises(ResourceNotFoundError):
        container.get_blob_client("none").get_blob_properties()
    with BlobServiceClient(account.blob_url, **account.arguments()) as blobs:
        none = blobs.get_container_client("contract-none")
        refused("ContainerNotFound", lambda: [*none.list_blobs()], 404)
        refused("ContainerNotFound", lambda: none.upload_blob("x", b"x"), 404)


def test_a_deleted_blob_is_gone(container: ContainerClient) -> None:
    container.upload_blob("gone", b"x", overwrite=True)
    container.delete_blob("gone")
    refused("BlobNotFound", lambda: container.download_blob("gone"), 404)
    assert [*container.list_blobs("gone")] == []


def test_a_listing_has_pages_in_the_order_of_names(container: ContainerClient) -> None:
    names = sorted(f"pages/{kind}={n}/x" for n in range(6) for kind in ("a", "B"))
    for name in reversed(names):
        container.upload_blob(name, b"x", overwrite=True)
    pages = [[blob.name for blob in page] for page in container.list_blobs("pages/", results_per_page=5).by_page()]
    assert [len(page) for page in pages] == [5, 5, 2]
    assert [name for page in pages for name in page] == names
    assert [blob.name for blob in container.list_blobs("pages/a=3")] == ["pages/a=3/x"]


def test_of_many_who_create_a_blob_one_does(container: ContainerClient) -> None:
    def create(n: int) -> str:
        try:
            container.upload_blob("once", str(n).encode(), overwrite=False)
        except ResourceExistsError as error:
            return code_of(error)
        return "created"

    with ThreadPoolExecutor(8) as pool:
        said = [*pool.map(create, range(16))]
    assert sorted(said) == ["BlobAlreadyExists"] * 15 + ["created"]
    assert container.download_blob("once").readall() == str(said.index("created")).encode()


def test_a_blob_that_has_changed_is_not_replaced(container: ContainerClient) -> None:
    blob = container.get_blob_client("versions")
    first = blob.upload_blob(b"1", overwrite=True)["etag"]
    second = blob.upload_blob(b"2", overwrite=True, etag=first, match_condition=MatchConditions.IfNotModified)["etag"]
    assert first != second
    with pytest.raises(ResourceModifiedError):
        blob.upload_blob(b"3", overwrite=True, etag=first, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceModifiedError):
        blob.delete_blob(etag=first, match_condition=MatchConditions.IfNotModified)
    assert blob.download_blob().readall() == b"2"


def test_a_sas_reads_and_lists_its_container_and_no_other(account: Account, container: ContainerClient, storage: Home) -> None:
    if account.name != storage.account():
        pytest.skip("the SDK signs for a newer service than Stack Hub; the loop gives a SAS for the cloud's account only")
    container.upload_blob("shared/a=1", b"yes", overwrite=True)
    expiry = datetime.now(UTC) + timedelta(hours=1)
    permission = ContainerSasPermissions(read=True, list=True)
    sas = generate_container_sas(account.name, container.container_name, account_key=account.key, permission=permission, expiry=expiry)
    verify = client_context(storage) if account.ca else True
    url = f"{account.blob_url}/{container.container_name}"
    with httpx.Client(verify=verify, trust_env=False) as http:
        assert http.get(f"{url}/shared/a=1?{sas}").content == b"yes"
        assert "shared/a=1" in http.get(f"{url}?restype=container&comp=list&{sas}").text
        assert http.put(f"{url}/shared/b?{sas}", content=b"no", headers={"x-ms-blob-type": "BlockBlob"}).status_code == 403
        assert http.get(f"{url}/shared/a=1?{sas.replace('sig=', 'sig=A')}").status_code == 403
        assert http.get(f"{account.blob_url}/contract-none/x?{sas}").status_code in (403, 404)
        assert http.get(f"{url}/shared/a=1").status_code in (401, 403, 404)


@pytest.mark.parametrize("service", [BlobServiceClient, QueueServiceClient])
def test_a_wrong_key_is_refused(account: Account, service: type) -> None:
    wrong = base64.b64encode(b"x" * 64).decode()
    url = account.blob_url if service is BlobServiceClient else account.queue_url
    with service(url, **account.arguments(wrong)) as client:
        listed = client.list_containers if service is BlobServiceClient else client.list_queues
        with pytest.raises(HttpResponseError) as error:
            next(iter(listed()))
    assert error.value.status_code == 403


async def test_the_factory_signs_its_own_requests(account: Account, container: ContainerClient, storage: Home) -> None:
    """Data Factory's copies: Shared Key over plain REST."""
    keys = {account.name: account.key}
    async with Blobs(client_context(storage), keys.__getitem__) as blobs:
        for path, data in (("factory/a b=1.csv", b"a,b\n"), ("factory/empty", b"")):
            await blobs.write(account.blob_url, container.container_name, path, data, "text/csv")
            assert await blobs.read(account.blob_url, container.container_name, path) == data
            assert container.get_blob_client(path).get_blob_properties().content_settings.content_type == "text/csv"
        with pytest.raises(CopyError) as missing:
            await blobs.read(account.blob_url, container.container_name, "factory/none")
    assert missing.value.code == "UserErrorSourceBlobNotExist"


# the log of commits


def test_a_sequence_number_is_taken_once(container: ContainerClient) -> None:
    logs = [Log(container, "wind_power", "north") for _ in range(2)]
    commits = [Commit(f"drain-{n}", (), (f"id-{n}",), {}, {}, "policy") for n in range(2)]
    assert logs[0].append(commits[0])
    assert Log(container, "wind_power", "north").append(commits[0]), "the answer to its own write was lost"
    assert not logs[1].append(commits[1])
    logs[1].catch_up()
    assert logs[1].append(commits[1])
    name = write_file(container, "wind_power", "north", datetime.now(UTC).date(), "x", b"1")
    assert write_file(container, "wind_power", "north", datetime.now(UTC).date(), "x", b"2") == name
    assert container.download_blob(name).readall() == b"1"


# queues


def test_messages_are_received_once_until_they_show_again(queue: QueueClient) -> None:
    for n in range(3):
        queue.send_message(f"m{n}", time_to_live=FOR_EVER)
    page = [*next(queue.receive_messages(messages_per_page=PAGE, visibility_timeout=300).by_page())]
    assert [(one.content, one.dequeue_count) for one in page] == [("m0", 1), ("m1", 1), ("m2", 1)]
    assert [*queue.receive_messages()] == []
    assert queue.peek_messages(max_messages=1) == []
    assert queue.get_queue_properties().approximate_message_count == 3
    queue.delete_message(page[0])
    queue.update_message(page[1], visibility_timeout=1)
    (again,) = wait("the message", lambda: [*queue.receive_messages(visibility_timeout=300)])
    assert (again.content, again.dequeue_count) == ("m1", 2)


def test_an_old_receipt_is_worth_nothing(queue: QueueClient) -> None:
    queue.send_message("m")
    (message,) = queue.receive_messages(visibility_timeout=30)
    old = message.pop_receipt
    renewed = queue.update_message(message, visibility_timeout=30)
    assert renewed.pop_receipt != old
    refused("PopReceiptMismatch", lambda: queue.delete_message(message.id, old), 400)
    queue.delete_message(message.id, renewed.pop_receipt)
    refused("MessageNotFound", lambda: queue.delete_message(message.id, renewed.pop_receipt), 404)
    refused("MessageNotFound", lambda: queue.update_message(message.id, renewed.pop_receipt, visibility_timeout=1), 404)


def test_a_message_may_be_shown_at_once(queue: QueueClient) -> None:
    queue.send_message("m")
    (message,) = queue.receive_messages(visibility_timeout=300)
    queue.update_message(message, visibility_timeout=0)
    (again,) = wait("the message", lambda: [*queue.receive_messages(visibility_timeout=30)])
    assert (again.id, again.dequeue_count) == (message.id, 2)


def test_a_message_lives_as_long_as_it_was_given(queue: QueueClient) -> None:
    assert queue.send_message("for ever", time_to_live=FOR_EVER).expires_on.year == 9999
    queue.send_message("short", time_to_live=1)
    wait("the end of the short one", lambda: [one.content for one in queue.peek_messages(max_messages=10)] == ["for ever"])


def test_a_peek_hides_nothing(queue: QueueClient) -> None:
    queue.send_message("m")
    for _ in range(2):
        assert [one.content for one in queue.peek_messages(max_messages=1)] == ["m"]
    (message,) = queue.receive_messages()
    assert message.dequeue_count == 1


def test_a_message_has_a_largest_size(queue: QueueClient) -> None:
    queue.send_message("x" * LARGEST_MESSAGE)
    with pytest.raises(HttpResponseError) as error:
        queue.send_message("x" * (LARGEST_MESSAGE + 1))
    assert error.value.status_code in (400, 413)


def test_a_queue_that_is_not_there(account: Account) -> None:
    with QueueServiceClient(account.queue_url, **account.arguments()) as queues:
        none = queues.get_queue_client("contract-none")
        refused("QueueNotFound", lambda: none.send_message("m"), 404)
        refused("QueueNotFound", lambda: next(iter(none.receive_messages())), 404)
        refused("QueueNotFound", none.get_queue_properties, 404)


def test_a_lease_keeps_messages_until_they_are_settled(queue: QueueClient) -> None:
    """The drain's round of messages: renewed while it works, deleted at its end."""
    for n in range(PAGE + 5):
        queue.send_message(str(n))
    with Lease(queue, 2 * PAGE, visibility=6) as lease:
        assert sorted(int(one.content) for one in lease.received) == [*range(PAGE + 5)]
        time.sleep(7)  # longer than they would be hidden without the renewal
        assert queue.peek_messages(max_messages=1) == []
        lease.delete()
    assert queue.get_queue_properties().approximate_message_count == 0
