"""The workspace, where its services are, and its datastore."""

import uuid

from include.domain import naming
from include.standin.home import CLOUD_ACCOUNT
from include.standin.machine_learning import datastore as store
from include.standin.machine_learning.datastore import Datastore
from include.standin.machine_learning.exceptions import NotFound
from include.standin.machine_learning.models import Document
from include.standin.machine_learning.responses.call import TYPE, Call, Reply, resource


class WorkspaceResponses:
    """Operations of the workspace itself."""

    def __init__(self, base: str, datastore: Datastore) -> None:
        self._base = base
        self._datastore = datastore

    def workspace(self, call: Call) -> Reply:
        """GET the workspace."""
        properties = {
            "workspaceId": str(uuid.uuid5(uuid.NAMESPACE_URL, call.path)),
            "discoveryUrl": f"{self._base}/discovery",
            "mlFlowTrackingUri": f"azureml://localhost/mlflow/v1.0{call.path}",
            "storageAccount": f"{call.path.partition('/providers/')[0]}/providers/Microsoft.Storage/storageAccounts/{CLOUD_ACCOUNT}",
            "provisioningState": "Succeeded",
        }
        document = {"id": call.path, "name": call.values["workspace"], "type": TYPE, "location": "local", "properties": properties}
        return Reply(200, {**document, "identity": {"type": "SystemAssigned"}})

    def discovery(self, call: Call) -> Reply:
        """GET where the data plane's services are; asked without a token."""
        return Reply(200, {"history": self._base, "api": self._base})

    def datastores(self, call: Call) -> Reply:
        """GET the datastores: one."""
        return Reply(200, {"value": [_datastore(f"{call.path}/{store.NAME}")]})

    def datastore(self, call: Call) -> Reply:
        """GET the datastore, or POST listSecrets."""
        if call.values["name"] != store.NAME:
            raise NotFound(f"there is no datastore {call.values['name']} in this workspace, only {store.NAME}")
        return Reply(200, _datastore(call.path))

    def datastore_secrets(self, call: Call) -> Reply:
        """POST listSecrets: a signature for the container."""
        self.datastore(call)
        url = f"{self._datastore.endpoint}/{naming.LAKE}"
        return Reply(200, {"secretsType": "Sas", "sasToken": self._datastore.sas(url, write=True).partition("?")[2]})


def _datastore(path: str) -> Document:
    properties = {
        "datastoreType": "AzureBlob",
        "accountName": CLOUD_ACCOUNT,
        "containerName": naming.LAKE,
        "endpoint": "localhost",
        "protocol": "https",
        "isDefault": True,
        "credentials": {"credentialsType": "Sas"},
        "tags": {},
        "properties": {},
    }
    return resource(path, store.NAME, f"{TYPE}/datastores", properties)
