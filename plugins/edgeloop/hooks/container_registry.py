"""Container registries: of candidates, and of releases. Any that speaks OCI distribution; with Azure's own import where it is Azure's."""

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from edgeloop.exceptions import ConnectionIncomplete
from edgeloop.hooks.cloud import CloudHook
from include.settings import CANDIDATES

if TYPE_CHECKING:
    from include.oci.client import Registry
    from include.oci.reference import Reference

ACR_ID = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)/providers/Microsoft\.ContainerRegistry/registries/(?P<name>[^/]+)",
    re.IGNORECASE,
)
IMPORT_SECONDS = 900
"""How long Azure may take to import an image; the base's layers are some hundred megabytes."""


class ContainerRegistryHook(BaseHook):
    """One registry, from a Connection (type generic).

    Host: its URL, `https://host[:port]`. Login and password: a user, a token or a service principal that may pull and push.
    Extra: `ca_bundle` (PEM file; default: the system's), `scoring_base` (candidates: `repository:tag` of the scorer's base image),
    `acr_id` (releases: ARM id of the registry where it is Azure Container Registry).
    """

    def __init__(self, registry_conn_id: str = CANDIDATES) -> None:
        super().__init__()
        self.registry_conn_id = registry_conn_id

    @cached_property
    def connection(self) -> Any:
        """The Airflow Connection."""
        found = self.get_connection(self.registry_conn_id)
        if not found.host or not found.host.startswith("https://"):
            raise ConnectionIncomplete(self.registry_conn_id, "needs the registry's URL as host, https://host[:port]")
        return found

    @cached_property
    def registry(self) -> "Registry":
        """The registry's client."""
        from include.oci.client import Registry

        said = self.connection
        return Registry(said.host, said.login, said.password, said.extra_dejson.get("ca_bundle"))

    @property
    def scoring_base(self) -> "Reference":
        """The image that models are appended to."""
        from include.oci.exceptions import ReferenceInvalid
        from include.oci.reference import Reference

        said = self.connection.extra_dejson.get("scoring_base")
        if not said:
            raise ConnectionIncomplete(self.registry_conn_id, "lacks 'scoring_base' (repository:tag) in its extra")
        try:
            found = Reference.parse(said)
            _ = found.target
        except ReferenceInvalid as error:
            raise ConnectionIncomplete(self.registry_conn_id, f"has a 'scoring_base' that names no image: {error}") from error
        return found

    @property
    def acr_id(self) -> str | None:
        """ARM id of the registry, None where it is not Azure's."""
        return self.connection.extra_dejson.get("acr_id")

    def import_image(self, source: "ContainerRegistryHook", repository: str, digest: str) -> None:
        """Have Azure pull a digest from another registry, without a tag: its bytes never pass this machine. Again: nothing changes."""
        from azure.mgmt.containerregistry import ContainerRegistryManagementClient

        found = ACR_ID.fullmatch(self.acr_id or "")
        if not found:
            raise ConnectionIncomplete(self.registry_conn_id, f"has an 'acr_id' that is not the ARM id of a registry: {self.acr_id!r}")
        cloud = CloudHook()
        client = ContainerRegistryManagementClient(
            cloud.credential,
            found["subscription"],
            base_url=cloud.profile.resource_manager,
            credential_scopes=[cloud.profile.arm_scope],
            connection_verify=cloud.profile.verify,
        )
        asked = {
            "source": {
                "registryUri": source.registry.host,
                "sourceImage": f"{repository}@{digest}",
                "credentials": {"username": source.connection.login, "password": source.connection.password},
            },
            "untaggedTargetRepositories": [repository],
            "mode": "Force",
        }
        client.registries.begin_import_image(found["group"], found["name"], asked).result(IMPORT_SECONDS)

    def test_connection(self) -> tuple[bool, str]:
        """What the button in the UI does: one request with the login."""
        try:
            self.registry.ping()
        except Exception as error:
            return False, str(error)
        return True, f"{self.connection.host} is a registry and takes this login"
