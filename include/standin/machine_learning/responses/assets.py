"""Codes, environments and models: versions of a name, which never change what they point at."""

import re
import uuid

from include.standin.home import CLOUD_ACCOUNT
from include.standin.machine_learning import datastore as store
from include.standin.machine_learning.datastore import Datastore
from include.standin.machine_learning.exceptions import BadRequest, NotFound
from include.standin.machine_learning.job import Jobs
from include.standin.machine_learning.models import Assets, Document
from include.standin.machine_learning.responses.call import TYPE, Call, Reply, resource


class AssetResponses:
    """Operations of assets. `kind` of a call is `codes`, `environments` or `models`."""

    def __init__(self, assets: Assets, jobs: Jobs, datastore: Datastore) -> None:
        self._assets = assets
        self._jobs = jobs
        self._datastore = datastore

    def pending_upload(self, call: Call) -> Reply:
        """POST startPendingUpload: a container of its own for each upload, since clients write to its root."""
        container = self._datastore.new_container()
        credential = {"credentialType": "SAS", "sasUri": self._datastore.sas(container, write=True)}
        reference = {"blobUri": container, "storageAccountArmId": CLOUD_ACCOUNT, "credential": credential}
        return Reply(
            200,
            {"blobReferenceForConsumption": reference, "pendingUploadId": str(uuid.uuid4()), "pendingUploadType": "TemporaryBlobReference"},
        )

    def put_asset(self, call: Call) -> Reply:
        """PUT a version."""
        kind, name, version = (call.values[key] for key in ("kind", "name", "version"))
        properties = {"tags": {}, "properties": {}, **call.properties}
        if kind == "models":
            properties = {"flavors": {}, **properties, "modelUri": self._model_uri(call, properties)}
        document = resource(call.path, version, f"{TYPE}/{kind}/versions", properties)
        new = self._assets.put(kind, name, version, document)
        return Reply(201 if new else 200, document)

    def _model_uri(self, call: Call, properties: Document) -> str:
        """Where a model lies; `azureml://jobs/<job>/outputs/<output>/paths/...` becomes a path of the datastore."""
        uri = str(properties.get("modelUri") or "")
        found = re.match(r"^azureml://jobs/([^/]+)/outputs/([^/]+)(?:/paths/?(.*))?$", uri)
        if not found:
            return uri
        outputs = self._jobs.get(found[1]).properties.get("outputs") or {}
        if found[2] not in outputs:
            raise BadRequest(f"job {found[1]} has no output {found[2]!r}; it has {', '.join(outputs) or 'none'}")
        _, path = self._datastore.locate(outputs[found[2]]["uri"])
        workspace = call.workspace_id.replace("resourceGroups", "resourcegroups")
        workspace = workspace.replace("/providers/Microsoft.MachineLearningServices", "")
        return f"azureml:/{workspace}/datastores/{store.NAME}/paths/{'/'.join(part for part in (path, found[3]) if part)}"

    def get_asset(self, call: Call) -> Reply:
        """GET a version."""
        return Reply(200, self._assets.get(call.values["kind"], call.values["name"], call.values["version"]))

    def asset_versions(self, call: Call) -> Reply:
        """GET the versions of a name, newest first; of code with `hash`, whatever has that content."""
        if call.values["kind"] == "codes" and "hash" in call.query:
            return Reply(200, {"value": self._assets.code_of(call.query["hash"])})
        found = self._assets.versions(call.values["kind"], call.values["name"])
        top = call.query.get("$top", "")
        return Reply(200, {"value": found[: int(top)] if top.isdigit() else found})

    def assets(self, call: Call) -> Reply:
        """GET the names of a kind."""
        kind = call.values["kind"]
        return Reply(200, {"value": [self._container(f"{call.path}/{name}", kind, name) for name in self._assets.names(kind)]})

    def asset(self, call: Call) -> Reply:
        """GET a name."""
        if call.values["name"] not in self._assets.names(call.values["kind"]):
            raise NotFound(f"there is no {call.values['kind'].rstrip('s')} {call.values['name']} in this workspace")
        return Reply(200, self._container(call.path, call.values["kind"], call.values["name"]))

    def _container(self, path: str, kind: str, name: str) -> Document:
        versions = self._assets.versions(kind, name)
        latest = versions[0]["name"] if versions else "1"
        following = str(int(latest) + 1) if latest.isdigit() else "1"
        return resource(path, name, f"{TYPE}/{kind}", {"latestVersion": latest, "nextVersion": following, "tags": {}, "properties": {}})
