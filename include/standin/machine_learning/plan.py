"""What stands between a job that was asked for and a command that can run: environment, code, inputs, variables."""

import os
import re
import shutil
from pathlib import Path

from include.standin.home import Home, supervised
from include.standin.machine_learning import environments
from include.standin.machine_learning.datastore import Datastore
from include.standin.machine_learning.job import Job
from include.standin.machine_learning.models import Assets, Document, write

REFERENCE = re.compile(r"\$\{\{\s*(inputs|outputs)\.(\w+)\s*\}\}")
"""`${{inputs.name}}` in a command."""


class Planner:
    """Prepares jobs."""

    def __init__(self, home: Home, assets: Assets, datastore: Datastore) -> None:
        self._home = home
        self._assets = assets
        self._datastore = datastore

    def prepare(self, job: Job) -> None:
        """Lay out the job's folder: `code`, `in`, `out` and `plan.json`. JobFailed says what cannot be had."""
        properties = job.properties
        for name in ("code", "in", "out"):
            shutil.rmtree(job.folder / name, ignore_errors=True)
            (job.folder / name).mkdir()
        python = self._environment(properties["environmentId"])
        if properties.get("codeId"):
            code = self._assets.get("codes", *_name_and_version(properties["codeId"]))
            self._datastore.download_folder(code["properties"]["codeUri"], job.folder / "code")
        values = {f"inputs.{name}": self._input(job, name, said) for name, said in (properties.get("inputs") or {}).items()}
        values |= {f"outputs.{name}": self._output(job, name) for name in properties.get("outputs") or {}}
        command = REFERENCE.sub(lambda found: values[f"{found[1]}.{found[2]}"], properties["command"])
        write(
            job.folder / "plan.json",
            {"argv": ["/bin/bash", "-c", command], "cwd": str(job.folder / "code"), "env": self._variables(job, python)},
        )

    def _environment(self, environment_id: str) -> Path:
        said = self._assets.get("environments", *_name_and_version(environment_id))["properties"]
        return environments.build(environments.Requirements.of_conda(said.get("condaFile") or "dependencies: []"))

    def _input(self, job: Job, name: str, said: Document) -> str:
        if said["jobInputType"] == "literal":
            return str(said["value"])
        target = job.folder / "in" / name
        if said["jobInputType"] == "uri_file":
            return str(self._datastore.download_file(said["uri"], target))
        self._datastore.download_folder(said["uri"], target)
        return str(target)

    def _output(self, job: Job, name: str) -> str:
        target = job.folder / "out" / name
        target.mkdir()
        return str(target)

    def _variables(self, job: Job, python: Path) -> dict[str, str]:
        """Nothing of this program's own environment, which may hold secrets, but where programs are found."""
        parts = job.document["id"].split("/")
        return {
            **{name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")},
            "PATH": f"{python / 'bin'}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(job.folder),
            "PYTHONUNBUFFERED": "1",
            **{name: str(value) for name, value in (job.properties.get("environmentVariables") or {}).items()},
            "EDGELOOP_HOME": str(self._home.path),
            **supervised(),
            "AZUREML_RUN_ID": job.name,
            "AZUREML_ROOT_RUN_ID": job.name,
            "AZUREML_EXPERIMENT_NAME": job.properties.get("experimentName") or "Default",
            "AZUREML_ARM_SUBSCRIPTION": parts[2],
            "AZUREML_ARM_RESOURCEGROUP": parts[4],
            "AZUREML_ARM_WORKSPACE_NAME": parts[8],
        }


def _name_and_version(asset_id: str) -> tuple[str, str]:
    parts = asset_id.strip("/").split("/")
    return parts[-3], parts[-1]
