"""The Azure ML workspace of the cloud profile, through Microsoft's own client."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from edgeloop.hooks.cloud import CloudHook
from include.settings import CLOUD

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

T = TypeVar("T")

BUILT_IN = {
    "https://management.azure.com": "AzureCloud",
    "https://management.chinacloudapi.cn": "AzureChinaCloud",
    "https://management.usgovcloudapi.net": "AzureUSGovernment",
}
"""Clouds that the SDK knows by name, by resource manager."""
CLOUD_VARIABLE = "AZUREML_CURRENT_CLOUD"
"""Where the SDK keeps which cloud it talks to."""
_ENVIRONMENT_LOCK = threading.RLock()


class WorkspaceHook(CloudHook):
    """Asks the SDK. It is imported late: it costs seconds and 100 MB."""

    def __init__(self, cloud_conn_id: str = CLOUD) -> None:
        super().__init__(cloud_conn_id)
        self._client: MLClient | None = None

    def ask(self, what: "Callable[[MLClient], T]") -> T:
        """Ask the SDK; once more with a new token, when the one that it kept was refused."""
        from azure.core.exceptions import ClientAuthenticationError

        with _environment(self._variables()):
            try:
                return what(self._connected())
            except ClientAuthenticationError as error:
                self.log.warning("the token was refused, asking for a new one: %s", error.message)
                self._client = None
                self.__dict__.pop("credential", None)
                return what(self._connected())

    def _variables(self) -> dict[str, str]:
        """What the SDK takes from the environment only: its cloud, and whom uploads trust (`connection_verify` does not reach them)."""
        found = {CLOUD_VARIABLE: self._cloud_name} if self._client else {}
        if self.profile.ca_bundle:
            found["REQUESTS_CA_BUNDLE"] = self.profile.ca_bundle
        return found

    def _connected(self) -> "MLClient":
        if self._client is None:
            from azure.ai.ml import MLClient

            profile = self.profile
            self._client = MLClient(
                self.credential,
                profile.subscription_id,
                profile.resource_group,
                profile.workspace_name,
                show_progress=False,
                enable_telemetry=False,
                connection_verify=profile.verify,
                cloud=self._cloud_name,
                **self._cloud_metadata(),
            )
        return self._client

    @property
    def _cloud_name(self) -> str:
        return BUILT_IN.get(self.profile.resource_manager, f"edgeloop-{self.cloud_conn_id}")

    def _cloud_metadata(self) -> dict[str, Any]:
        """A cloud that the SDK does not know, such as a Stack Hub's or the embedded one, is told to it."""
        profile = self.profile
        if profile.resource_manager in BUILT_IN:
            return {}
        return {
            "cloud_metadata": {
                "azure_portal": profile.resource_manager,
                "resource_manager": profile.resource_manager,
                "active_directory": profile.authority,
                "aml_resource_id": profile.audience,
                "storage_endpoint": f"core.{urlsplit(profile.resource_manager).hostname}",
                "registry_discovery_endpoint": profile.resource_manager,
            }
        }


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """The process's environment with these variables, for one thread at a time; afterwards as before, also what the SDK has set."""
    names = {CLOUD_VARIABLE, *variables}
    with _ENVIRONMENT_LOCK:
        before = {name: os.environ[name] for name in names if name in os.environ}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name in names:
                os.environ.pop(name, None)
            os.environ.update(before)
