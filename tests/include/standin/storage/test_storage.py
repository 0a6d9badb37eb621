"""The real SDKs against Azurite behind the proxy."""

import hashlib
import http.client
import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, LinearRetry, StandardBlobTier, generate_container_sas
from azure.storage.queue import QueueServiceClient

from include import workloads
from include.domain import naming
from include.standin.home import Home, free_port_base
from include.standin.serving import client_context
from include.standin.storage.azurite import Azurite
from include.standin.storage.running import azurite_process, proxy_thread
from include.standin.storage.set_up import blob_service, queue_service, set_up


def _newest(home: Home, account: str, **arguments: object) -> BlobServiceClient:
    """A client that speaks what the SDK likes best."""
    credential = {"account_name": account, "account_key": home.account_key(account)}
    return BlobServiceClient(home.blob_url(account), credential, connection_verify=str(home.ca), **arguments)


@pytest.fixture(scope="module")
def lake(storage: Home):
    with blob_service(storage, storage.account()) as blobs:
        yield blobs.get_container_client(naming.LAKE)


@pytest.fixture(scope="module")
def compliant(storage: Home):
    with blob_service(storage, storage.account()) as blobs:
        yield blobs.get_container_client(naming.COMPLIANT)


def _faults(home: Home, *said: dict) -> None:
    httpx.put(f"{home.url('blob')}/_faults", json=[*said], verify=client_context(home)).raise_for_status()


def test_blobs_come_back_as_they_went(lake):
    for name, size in (("empty", 0), ("a b/ü+%/x=1.parquet", 20_000), ("large", 9 << 20)):
        data = os.urandom(size)
        lake.upload_blob(f"trip/{name}", data, overwrite=True)
        assert hashlib.sha256(lake.download_blob(f"trip/{name}").readall()).digest() == hashlib.sha256(data).digest()
    assert [blob.name for blob in lake.list_blobs("trip/")] == ["trip/a b/ü+%/x=1.parquet", "trip/empty", "trip/large"]


def test_a_stage_of_blocks_is_committed(lake):
    data = os.urandom(3 << 20)
    blob = lake.get_blob_client("blocks")
    blob.upload_blob(iter([data[: 1 << 20], data[1 << 20 :]]), overwrite=True)
    assert blob.download_blob(offset=5, length=100).readall() == data[5:105]


def test_eight_threads_share_the_proxy(lake):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: lake.upload_blob(f"many/{n}", b"x" * 20_000, overwrite=True), range(64)))
    assert len([*lake.list_blobs("many/")]) == 64


def test_a_sas_is_good_without_a_key(storage: Home, lake):
    lake.upload_blob("shared", b"yes", overwrite=True)
    account = storage.account()
    until = datetime.now(UTC) + timedelta(hours=1)
    sas = generate_container_sas(
        account, naming.LAKE, storage.account_key(account), permission=ContainerSasPermissions(read=True), expiry=until
    )
    assert httpx.get(f"{lake.url}/shared?{sas}", verify=client_context(storage)).content == b"yes"


def test_a_wrong_key_is_refused(storage: Home):
    account = storage.account()
    credential = {"account_name": account, "account_key": storage.account_key(storage.account("north"))}
    with BlobServiceClient(storage.blob_url(account), credential, connection_verify=str(storage.ca)) as blobs:
        with pytest.raises(HttpResponseError) as refused:
            next(iter(blobs.list_containers()))
        assert refused.value.status_code == 403


def test_pages_may_be_read_by_everyone_and_the_lake_by_nobody(storage: Home, lake):
    with blob_service(storage, storage.account()) as blobs:
        blobs.get_blob_client(naming.WEB, "index.html").upload_blob(b"<p>hello", overwrite=True)
    lake.upload_blob("secret", b"x", overwrite=True)
    base = storage.blob_url(storage.account())
    assert httpx.get(f"{base}/{naming.WEB}/index.html", verify=client_context(storage)).text == "<p>hello"
    assert httpx.get(f"{base}/{naming.LAKE}/secret", verify=client_context(storage)).status_code in (403, 404)


def test_what_is_compliant_is_written_once(compliant):
    compliant.upload_blob("worm/a", b"1")
    with pytest.raises(HttpResponseError, match="BlobImmutableDueToPolicy"):
        compliant.upload_blob("worm/a", b"2", overwrite=True)
    with pytest.raises(ResourceExistsError, match="BlobAlreadyExists"):
        compliant.upload_blob("worm/a", b"2")
    blob = compliant.get_blob_client("worm/a")
    for change in (
        blob.delete_blob,
        lambda: blob.set_blob_metadata({"a": "b"}),
        lambda: blob.create_snapshot(),
        lambda: compliant.delete_blobs("worm/a"),
        lambda: blob.upload_blob(iter([b"x" * 5]), overwrite=True),
    ):
        with pytest.raises(HttpResponseError, match="immutable due to a policy"):
            change()
    with pytest.raises(HttpResponseError, match="ContainerImmutableStorageEnabled"):
        compliant.delete_container()
    assert blob.download_blob().readall() == b"1"


def test_of_many_overwriting_writers_one_wins(compliant):
    def write(n: int) -> bool:
        try:
            compliant.upload_blob("worm/race", str(n).encode(), overwrite=True)
        except HttpResponseError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = [n for n, did in enumerate(pool.map(write, range(16))) if did]
    assert len(won) == 1
    assert compliant.download_blob("worm/race").readall() == str(won[0]).encode()


def test_deleting_what_is_not_there_is_not_found(compliant):
    with pytest.raises(ResourceNotFoundError):
        compliant.delete_blob("worm/never")


def test_a_hold_that_azurite_would_ignore_is_refused(lake):
    with pytest.raises(HttpResponseError, match="x-ms-legal-hold"):
        lake.upload_blob("held", b"x", legal_hold=True)


def test_a_site_refuses_what_a_stack_hub_does_not_know(storage: Home):
    account = storage.account("north")
    with pytest.raises(HttpResponseError, match="InvalidHeaderValue"), _newest(storage, account) as blobs:
        blobs.get_container_client(naming.LANDING).get_container_properties()
    with blob_service(storage, account) as blobs:
        landing = blobs.get_container_client(naming.LANDING)
        landing.upload_blob("n" * 880, b"x")
        with pytest.raises(HttpResponseError, match="InvalidResourceName"):
            landing.upload_blob("n" * 881, b"x")
        with pytest.raises(HttpResponseError, match="UnsupportedHeader"):
            landing.upload_blob("tagged", b"x", tags={"a": "b"})
        with pytest.raises(HttpResponseError, match="UnsupportedHeader"):
            landing.upload_blob("cold", b"x", standard_blob_tier=StandardBlobTier.COOL)


def test_a_site_refuses_a_newer_sas(storage: Home):
    url = f"{storage.blob_url(storage.account('north'))}/{naming.LANDING}?comp=list&restype=container&sv=2020-02-10&sig=x"
    refused = httpx.get(url, verify=client_context(storage))
    assert (refused.status_code, refused.headers["x-ms-error-code"]) == (400, "InvalidHeaderValue")


def test_the_cloud_takes_the_newest_version(storage: Home):
    with _newest(storage, storage.account()) as blobs:
        assert blobs.get_container_client(naming.LAKE).exists()


def test_a_listing_begins_where_it_was_asked(storage: Home, lake):
    for name in ("a", "b", "c&d"):
        lake.upload_blob(f"log/{name}", b"", overwrite=True)
    account = storage.account()
    until = datetime.now(UTC) + timedelta(hours=1)
    sas = generate_container_sas(
        account, naming.LAKE, storage.account_key(account), permission=ContainerSasPermissions(list=True), expiry=until
    )
    url = f"{lake.url}?restype=container&comp=list&prefix=log/&startFrom=log/b&{sas}"
    listing = httpx.get(url, verify=client_context(storage))
    assert re.findall("<Name>(.*?)</Name>", listing.text) == ["log/b", "log/c&amp;d"]


def test_queues_of_every_workload_are_there(storage: Home):
    for workload in workloads.load_all():
        for site in workload.sites:
            with queue_service(storage, storage.account(site)) as queues:
                names = {queue.name for queue in queues.list_queues()}
            assert {naming.queue(workload.name), naming.poison_queue(workload.name)} <= names


def test_a_message_hides_and_goes(storage: Home):
    with queue_service(storage, storage.account("south")) as queues:
        queue: QueueServiceClient = queues.create_queue("hide")
        queue.send_message("x" * 65_536)
        message = next(iter(queue.receive_messages(visibility_timeout=30)))
        assert not [*queue.receive_messages()]
        queue.delete_message(message)
        assert queue.get_queue_properties().approximate_message_count == 0


def test_setting_up_twice_changes_nothing(storage: Home, lake):
    lake.upload_blob("kept", b"x", overwrite=True)
    set_up(storage)
    assert lake.download_blob("kept").readall() == b"x"


def test_faults_are_committed_and_clients_get_over_them(storage: Home, lake):
    lake.upload_blob("flaky", b"x", overwrite=True)
    _faults(
        storage,
        {"path": "/flaky", "method": "GET", "status": 503, "headers": {"Retry-After": "0"}},
        {"path": "/flaky", "method": "GET", "drop": True},
        {"path": "/flaky", "method": "GET", "status": 500},
    )
    quick = LinearRetry(backoff=0, retry_total=5, random_jitter_range=0)
    with _newest(storage, storage.account(), retry_policy=quick) as blobs:
        assert blobs.get_blob_client(naming.LAKE, "flaky").download_blob().readall() == b"x"


def test_bad_requests_do_not_end_the_proxy(storage: Home):
    base = storage.url("blob")
    verify = client_context(storage)
    assert httpx.get(base, verify=verify).status_code == 404
    assert httpx.get(f"{base}/nobody/x", verify=verify).status_code == 404
    assert httpx.put(f"{base}/_faults", content=b"{", verify=verify).status_code == 400
    assert httpx.put(f"{base}/_faults", json={"path": "("}, verify=verify).status_code == 400
    link = http.client.HTTPSConnection("localhost", storage.port("blob"), timeout=10, context=verify)
    link.putrequest("PUT", f"/{storage.account()}/lake/huge")
    link.putheader("Content-Length", str(400 << 20))
    link.endheaders()
    assert link.getresponse().status == 413
    link.close()
    assert httpx.get(f"{base}/_health", verify=verify).status_code == 200


def test_an_account_that_is_down_is_busy_and_keeps_what_it_acknowledged(tmp_path):
    home = Home.create(tmp_path / "home", free_port_base(1), ["east"])
    site = home.account("east")
    url = f"{home.blob_url(site)}/kept/one?comp=list"
    with proxy_thread(home):
        busy = httpx.get(url, verify=client_context(home))
        assert (busy.status_code, busy.headers["x-ms-error-code"]) == (503, "ServerBusy")
        with azurite_process(Azurite(home, "east")), blob_service(home, site) as blobs:
            blobs.create_container("kept").upload_blob("one", b"1")
        with azurite_process(Azurite(home, "east")), blob_service(home, site) as blobs:
            assert blobs.get_blob_client("kept", "one").download_blob().readall() == b"1"
