"""The cloud profile: which Azure this is. One Connection serves the hooks of every control plane.

Azure, a sovereign cloud, a Stack Hub and the embedded cloud differ in nothing but this Connection.
"""

import ssl
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from edgeloop.exceptions import ConnectionIncomplete
from include.settings import CLOUD

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


@dataclass(frozen=True)
class PowerBI:
    """Where Power BI is, and what is refreshed there."""

    endpoint: str
    audience: str
    group_id: str
    dataset_id: str


@dataclass(frozen=True)
class CloudProfile:
    """Endpoints and names of one Azure. URLs have no slash at the end."""

    tenant_id: str
    authority: str
    resource_manager: str
    audience: str
    subscription_id: str
    resource_group: str
    factory_name: str
    workspace_name: str
    datastore: str
    """Azure ML datastore that stands for the lake's container."""
    compute: str | None
    ca_bundle: str | None
    """PEM file that the endpoints' certificates are verified with; None: the system's."""
    approval: str
    """`person` or `automatic`: who approves releases in this environment."""
    power_bi: PowerBI | None

    @property
    def verify(self) -> str | bool:
        """What SDKs take as `connection_verify`. Verification is never switched off."""
        return self.ca_bundle or True

    def ssl_context(self) -> ssl.SSLContext:
        """The same for clients that take a context."""
        return ssl.create_default_context(cafile=self.ca_bundle)

    @property
    def arm_scope(self) -> str:
        """Scope of a token for the resource manager."""
        return f"{self.audience}/.default"


REQUIRED = ("tenant_id", "subscription_id", "resource_group")


class CloudHook(BaseHook):
    """The cloud profile and the credential of the Connection `edgeloop_cloud` (type generic).

    Login and password are a service principal's client id and secret. Without them the machine's own identity is used
    (workload identity, managed identity, `az login`), as `azure.identity.DefaultAzureCredential` finds it.
    """

    def __init__(self, cloud_conn_id: str = CLOUD) -> None:
        super().__init__()
        self.cloud_conn_id = cloud_conn_id

    @cached_property
    def connection(self) -> Any:
        """The Airflow Connection."""
        return self.get_connection(self.cloud_conn_id)

    @cached_property
    def profile(self) -> CloudProfile:
        """The profile; ConnectionIncomplete says which field is missing."""
        said = self.connection.extra_dejson
        for name in REQUIRED:
            if not said.get(name):
                raise ConnectionIncomplete(self.cloud_conn_id, f"lacks {name!r} in its extra")
        power_bi = said.get("power_bi")
        return CloudProfile(
            tenant_id=said["tenant_id"],
            authority=said.get("authority", "https://login.microsoftonline.com").rstrip("/"),
            resource_manager=said.get("resource_manager", "https://management.azure.com").rstrip("/"),
            audience=said.get("audience", "https://management.azure.com").rstrip("/"),
            subscription_id=said["subscription_id"],
            resource_group=said["resource_group"],
            factory_name=said.get("factory_name", "edgeloop"),
            workspace_name=said.get("workspace_name", "edgeloop"),
            datastore=said.get("datastore", "lake"),
            compute=said.get("compute"),
            ca_bundle=said.get("ca_bundle"),
            approval=said.get("approval", "person"),
            power_bi=PowerBI(**power_bi) if power_bi else None,
        )

    @cached_property
    def credential(self) -> "TokenCredential":
        """A credential that asks this cloud's authority for tokens."""
        from azure.identity import ClientSecretCredential, DefaultAzureCredential

        profile = self.profile
        if not self.connection.login:
            return DefaultAzureCredential(authority=profile.authority, connection_verify=profile.verify)
        return ClientSecretCredential(
            tenant_id=profile.tenant_id,
            client_id=self.connection.login,
            client_secret=self.connection.password,
            authority=profile.authority,
            disable_instance_discovery=True,  # a Stack Hub's authority is not known to the public cloud
            connection_verify=profile.verify,
        )

    def token(self, scope: str) -> str:
        """A bearer token for the scope."""
        return self.credential.get_token(scope).token

    def test_connection(self) -> tuple[bool, str]:
        """What the button in the UI does: one token."""
        try:
            self.token(self.profile.arm_scope)
        except Exception as error:
            return False, str(error)
        return True, f"{self.profile.authority} gave a token for {self.profile.audience}"
