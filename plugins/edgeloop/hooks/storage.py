"""Storage accounts, of the cloud and of the sites' Stack Hubs: blobs and queues through the real SDKs."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from edgeloop.exceptions import ConnectionIncomplete
from edgeloop.hooks.cloud import CloudHook

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient, ContainerClient
    from azure.storage.queue import QueueClient, QueueServiceClient

STACK_HUB_API = "2019-07-07"
"""Newest storage API that Azure Stack Hub speaks; SDKs ask for newer ones unless told. (Azure Stack Hub storage docs)"""


class StorageHook(BaseHook):
    """One storage account, from a Connection.

    Host: the blob endpoint as a URL (path style, `https://host:port/account`, is fine). Login: the account's name. Password: its key;
    without one the cloud profile's credential is used. Extra: `queue_endpoint`, `api_version` (default: what Stack Hub speaks),
    `ca_bundle` (PEM file; default: the system's).
    """

    def __init__(self, storage_conn_id: str) -> None:
        super().__init__()
        self.storage_conn_id = storage_conn_id

    @cached_property
    def connection(self) -> Any:
        """The Airflow Connection."""
        found = self.get_connection(self.storage_conn_id)
        if not found.host or not found.host.startswith("https://"):
            raise ConnectionIncomplete(self.storage_conn_id, "needs the account's blob endpoint as host, an https:// URL")
        return found

    @property
    def _client_arguments(self) -> dict[str, Any]:
        found = self.connection
        credential = {"account_name": found.login, "account_key": found.password} if found.password else CloudHook().credential
        extra = found.extra_dejson
        return {
            "credential": credential,
            "api_version": extra.get("api_version", STACK_HUB_API),
            "connection_verify": extra.get("ca_bundle") or True,
            "retry_total": 4,
        }

    @property
    def account(self) -> str:
        """Name of the account."""
        return str(self.connection.login)

    @cached_property
    def blobs(self) -> "BlobServiceClient":
        """Client of the blob service."""
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient(self.connection.host, **self._client_arguments)

    @cached_property
    def queues(self) -> "QueueServiceClient":
        """Client of the queue service."""
        from azure.storage.queue import QueueServiceClient

        return QueueServiceClient(self.queue_endpoint, **self._client_arguments)

    @property
    def queue_endpoint(self) -> str:
        """URL of the queue service."""
        endpoint = self.connection.extra_dejson.get("queue_endpoint")
        if not endpoint:
            raise ConnectionIncomplete(self.storage_conn_id, "lacks 'queue_endpoint' in its extra")
        return str(endpoint)

    def container(self, name: str) -> "ContainerClient":
        """Client of one container; nothing is created."""
        return self.blobs.get_container_client(name)

    def queue(self, name: str) -> "QueueClient":
        """Client of one queue; nothing is created."""
        return self.queues.get_queue_client(name)
