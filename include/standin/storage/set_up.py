"""Containers and queues that the loop expects to find. Made when missing; a second call changes nothing."""

import contextlib

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from include import workloads
from include.domain import naming
from include.standin.home import Home
from include.standin.storage.rules import NEWEST_STACK_HUB

CONTAINERS = (naming.LAKE, naming.COMPLIANT, naming.LANDING)
SITE_CONTAINERS = (naming.LANDING,)


def blob_service(home: Home, account: str) -> BlobServiceClient:
    """A client of the account's blobs, through the proxy."""
    credential = {"account_name": account, "account_key": home.account_key(account)}
    return BlobServiceClient(home.blob_url(account), credential, api_version=NEWEST_STACK_HUB, connection_verify=str(home.ca))


def queue_service(home: Home, account: str) -> QueueServiceClient:
    """A client of the account's queues, through the proxy."""
    credential = {"account_name": account, "account_key": home.account_key(account)}
    return QueueServiceClient(home.queue_url(account), credential=credential, api_version=NEWEST_STACK_HUB, connection_verify=str(home.ca))


def set_up(home: Home) -> None:
    """Containers of every account, queues of every site's workloads."""
    with blob_service(home, home.account()) as blobs:
        for container in CONTAINERS:
            _make_container(blobs, container)
        _make_container(blobs, naming.WEB, public=True)
    for site in home.sites:
        with blob_service(home, home.account(site)) as blobs:
            for container in SITE_CONTAINERS:
                _make_container(blobs, container)
        _make_queues(home, site)


def _make_container(blobs: BlobServiceClient, name: str, public: bool = False) -> None:
    with contextlib.suppress(ResourceExistsError):
        blobs.create_container(name, public_access="blob" if public else None)


def _make_queues(home: Home, site: str) -> None:
    with queue_service(home, home.account(site)) as queues:
        for workload in workloads.load_all():
            if site in workload.sites:
                for name in (naming.queue(workload.name), naming.poison_queue(workload.name)):
                    with contextlib.suppress(ResourceExistsError):
                        queues.create_queue(name)
