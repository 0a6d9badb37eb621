"""Jobs, and their runs in the run history."""

import re

from include.standin.machine_learning import datastore as store
from include.standin.machine_learning.datastore import Datastore
from include.standin.machine_learning.exceptions import BadRequest, JobFailed
from include.standin.machine_learning.job import Job, Jobs
from include.standin.machine_learning.models import Assets, Document
from include.standin.machine_learning.plan import REFERENCE
from include.standin.machine_learning.responses.call import TYPE, Call, Reply
from include.standin.machine_learning.runner import Runner


class JobResponses:
    """Operations of jobs."""

    def __init__(self, base: str, assets: Assets, jobs: Jobs, runner: Runner, datastore: Datastore) -> None:
        self._base = base
        self._assets = assets
        self._jobs = jobs
        self._runner = runner
        self._datastore = datastore

    def put_job(self, call: Call) -> Reply:
        """PUT a job. The same job again is no new one."""
        name = call.values["name"]
        properties = self._checked(name, call.properties)
        services = {
            "Tracking": {"endpoint": f"azureml://localhost/mlflow/v1.0{call.workspace_id}", "jobServiceType": "Tracking"},
            "Studio": {"endpoint": f"{self._base}/runs/{name}?wsid={call.workspace_id}", "jobServiceType": "Studio"},
        }
        asked = {
            "id": call.path,
            "name": name,
            "type": f"{TYPE}/jobs",
            "properties": {"tags": {}, "properties": {}, **properties, "services": services},
        }
        job, new = self._jobs.create(name, asked)
        if new:
            self._runner.submit(job)
        return Reply(201 if new else 200, _job(job))

    def _checked(self, name: str, properties: Document) -> Document:
        """The properties with every output at its place; BadRequest for what cannot be run here."""
        if properties.get("jobType") != "Command" or not properties.get("command"):
            raise BadRequest("only jobs of type Command, with a command, can be run here")
        for key, kind in (("environmentId", "environments"), ("codeId", "codes")):
            if key == "environmentId" or properties.get(key):
                parts = str(properties.get(key, "")).strip("/").split("/")
                if len(parts) < 4:
                    raise BadRequest(f"{key} {properties.get(key)!r} is not the id of a version in this workspace")
                self._assets.get(kind, parts[-3], parts[-1])
        default = f"azureml://datastores/{store.NAME}/paths/azureml/{name}"
        outputs = {
            key: {"jobOutputType": "uri_folder", **(said or {}), "uri": (said or {}).get("uri") or f"{default}/{key}/"}
            for key, said in (properties.get("outputs") or {}).items()
        }
        self._check_names(properties["command"], properties.get("inputs") or {}, outputs)
        return {"experimentName": "Default", "displayName": name, **properties, "outputs": outputs}

    def _check_names(self, command: str, inputs: Document, outputs: Document) -> None:
        known = {"inputs": inputs, "outputs": outputs}
        for kind, name in REFERENCE.findall(command):
            if name not in known[kind]:
                raise BadRequest(f"the command names {kind}.{name}, which the job does not have")
        for name, said in {**inputs, **outputs}.items():
            if not re.fullmatch(r"\w+", name):
                raise BadRequest(f"{name!r} is not a name of an input or output")
            if said.get("jobInputType") != "literal":
                self._check_uri(str(said.get("uri", "")))

    def _check_uri(self, uri: str) -> None:
        try:
            self._datastore.locate(uri)
        except JobFailed as error:
            raise BadRequest(str(error)) from error

    def get_job(self, call: Call) -> Reply:
        """GET a job."""
        return Reply(200, _job(self._jobs.get(call.values["name"])))

    def jobs(self, call: Call) -> Reply:
        """GET the jobs, newest first."""
        return Reply(200, {"value": [_job(job) for job in self._jobs.all()]})

    def cancel_job(self, call: Call) -> Reply:
        """POST cancel."""
        self._runner.cancel(self._jobs.get(call.values["name"]))
        return Reply(200, None)

    def run_details(self, call: Call) -> Reply:
        """GET a run's details: status, error, and signed URLs of its logs."""
        return Reply(200, self._run(self._jobs.get(call.values["name"])))

    def run(self, call: Call) -> Reply:
        """GET a run."""
        job = self._jobs.get(call.values["name"])
        experiment = job.properties["experimentName"]
        return Reply(
            200, {**self._run(job), "experimentId": experiment, "experimentName": experiment, "dataContainerId": f"dcid.{job.name}"}
        )

    def run_data(self, call: Call) -> Reply:
        """POST rundata: a run and its outputs."""
        job = self._jobs.get(str(call.body.get("runId")))
        outputs = {
            name: {
                "assetId": f"azureml://locations/local/workspaces/{call.values['workspace']}/data/{job.name}_{name}/versions/1",
                "type": "UriFolder",
            }
            for name in job.properties.get("outputs") or {}
        }
        return Reply(200, {"runMetadata": {"runId": job.name, "status": job.state.status, "outputs": outputs}})

    def _run(self, job: Job) -> Document:
        state = job.state
        return {
            "runId": job.name,
            "target": "local",
            "status": state.status,
            "startTimeUtc": state.started_at,
            "endTimeUtc": state.ended_at,
            "logFiles": {"user_logs/std_log.txt": self._datastore.log_url(job.name)} if job.kept else {},
            "properties": {},
            "inputDatasets": [],
            "outputDatasets": [],
            "error": {"error": state.error} if state.error else None,
        }


def _job(job: Job) -> Document:
    state = job.state
    document = job.document
    system = {"createdBy": "edgeloop", "createdByType": "Application", "createdAt": state.queued_at}
    return {**document, "systemData": system, "properties": {**document["properties"], "status": state.status}}
