"""Code, models and the workspace through the unmodified client."""

import uuid
from pathlib import Path

import pytest
import requests
from azure.ai.ml import MLClient, Output, command
from azure.ai.ml.entities import Environment, Model
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from include.standin.home import Home


def test_the_same_code_is_uploaded_once_and_two_folders_of_one_name_do_not_mix(
    ml: MLClient, tmp_path: Path, empty_environment: Environment, wait_for, lake
) -> None:
    ids = []
    for content in ("a", "a", "b"):
        folder = tmp_path / uuid.uuid4().hex / "code"
        folder.mkdir(parents=True)
        (folder / "it.txt").write_text(content)
        name = f"code-{uuid.uuid4().hex[:10]}"
        out = {"o": Output(type="uri_folder", path=f"azureml://datastores/lake/paths/t/{name}/")}
        made = ml.jobs.create_or_update(
            command(name=name, command="cp * ${{outputs.o}}", code=str(folder), environment=empty_environment, outputs=out)
        )
        ids.append(made.code)
        assert wait_for(ml, name) == "Completed"
        assert lake.download_blob(f"t/{name}/it.txt").readall() == content.encode()
    assert ids[0] == ids[1] != ids[2]


def test_a_model_comes_from_a_jobs_output_and_never_changes(ml: MLClient, empty_environment: Environment) -> None:
    job, name = f"model-{uuid.uuid4().hex[:10]}", f"m{uuid.uuid4().hex[:10]}"
    out = {"model": Output(type="uri_folder", path=f"azureml://datastores/lake/paths/m/{job}/")}
    ml.jobs.create_or_update(command(name=job, command="true", environment=empty_environment, outputs=out))
    path = f"azureml://jobs/{job}/outputs/model/paths/"
    made = ml.models.create_or_update(Model(name=name, version="1", path=path, type="custom_model", tags={"digest": "x"}))
    assert made.path.endswith(f"/datastores/lake/paths/m/{job}")
    assert ml.models.get(name, "1").tags == {"digest": "x"}
    ml.models.create_or_update(Model(name=name, version="2", path=path, type="custom_model"))
    assert ml.models.get(name, label="latest").version == "2"
    assert {model.version for model in ml.models.list(name)} == {"1", "2"}
    with pytest.raises(HttpResponseError, match="immutable"):
        ml.models.create_or_update(Model(name=name, version="1", path="azureml://datastores/lake/paths/other/", type="custom_model"))
    with pytest.raises(ResourceNotFoundError, match="there is no model"):
        ml.models.get(name, "3")
    with pytest.raises(HttpResponseError, match="no output 'other'"):
        ml.models.create_or_update(Model(name=name, version="9", path=f"azureml://jobs/{job}/outputs/other/paths/", type="custom_model"))


def test_the_datastore_is_the_lake(ml: MLClient) -> None:
    assert ml.datastores.get("lake").container_name == "lake"
    assert [store.name for store in ml.datastores.list()] == ["lake"]
    with pytest.raises(ResourceNotFoundError, match="no datastore other"):
        ml.datastores.get("other")


def test_strangers_and_nonsense_are_refused(cloud: Home, ml: MLClient) -> None:
    workspace = f"{cloud.url('cloud')}{ml.workspaces.get('edgeloop').id}"
    ask = {"verify": str(cloud.ca), "timeout": 20}
    assert requests.get(f"{workspace}/jobs", **ask).status_code == 401
    headers = {"Authorization": f"Bearer {ml._credential.get_token('x').token}"}
    for body in ("no json", "[]", "{}", '{"properties": {"jobType": "Sweep"}}', '{"properties": 1}'):
        reply = requests.put(f"{workspace}/jobs/j", data=body, headers=headers, **ask)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "UserError"), body
    assert requests.get(f"{workspace}/models/..%2f..%2fx/versions/1", headers=headers, **ask).status_code in (400, 404)
    assert requests.put(f"{workspace}/models/m/versions/.x", json={"properties": {}}, headers=headers, **ask).status_code == 400
    assert requests.put(f"{workspace}/jobs/j", data=b"x" * 2_000_000, headers=headers, **ask).status_code == 400
