"""Jobs through the unmodified client: they really run."""

import uuid
from pathlib import Path

import pytest
import requests
from azure.ai.ml import Input, MLClient, Output, command
from azure.ai.ml.entities import Command
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from include.standin.home import Home

LAKE = "azureml://datastores/lake/paths"


@pytest.fixture
def job(code: Path, empty_environment):
    def build(run: str, **said) -> Command:
        name = said.pop("name", f"job-{uuid.uuid4().hex[:12]}")
        return command(name=name, command=run, code=str(code), environment=empty_environment, experiment_name="tests", **said)

    return build


def details(home: Home, ml: MLClient, name: str) -> dict:
    token = ml._credential.get_token("x").token
    url = f"{home.url('cloud')}/history/v1.0{ml.workspaces.get('edgeloop').id}/runs/{name}/details"
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, verify=str(home.ca), timeout=20).json()


def test_a_job_reads_inputs_writes_outputs_and_tells_of_itself(ml: MLClient, job, lake: ContainerClient, capsys, wait_for) -> None:
    where = f"t/{uuid.uuid4().hex}"
    for site in ("north", "south"):
        lake.upload_blob(f"{where}/in/site={site}/date=2014-01-01/part.txt", site.encode())
    lake.upload_blob(f"{where}/manifest.json", b"[1]")
    asked = job(
        "python script.py ${{inputs.word}} && cat ${{inputs.manifest}} && mkdir ${{outputs.model}}/sub"
        " && cat ${{inputs.data}}/site=*/date=*/*.txt > ${{outputs.model}}/sub/all.txt && env | sort > ${{outputs.model}}/env.txt",
        inputs={
            "word": "hello",
            "data": Input(type="uri_folder", path=f"{LAKE}/{where}/in"),
            "manifest": Input(type="uri_file", path=f"{LAKE}/{where}/manifest.json"),
        },
        outputs={"model": Output(type="uri_folder", path=f"{LAKE}/{where}/out/")},
        environment_variables={"GREETING": "bonjour"},
    )
    made = ml.jobs.create_or_update(asked)
    assert made.status in ("Queued", "Preparing")
    assert made.studio_url.startswith("https://localhost")
    ml.jobs.stream(made.name)
    told = capsys.readouterr().out
    assert "script hello" in told
    assert "[1]" in told
    assert ml.jobs.get(made.name).status == "Completed"
    assert lake.download_blob(f"{where}/out/sub/all.txt").readall() == b"northsouth"
    variables = dict(line.split("=", 1) for line in lake.download_blob(f"{where}/out/env.txt").readall().decode().splitlines())
    assert variables["AZUREML_RUN_ID"] == made.name
    assert variables["GREETING"] == "bonjour"
    assert variables["EDGELOOP_HOME"]
    assert not [name for name in variables if "KEY" in name or "TOKEN" in name or "SECRET" in name or "CONN" in name]


def test_a_failed_job_quotes_its_log(cloud: Home, ml: MLClient, job, wait_for) -> None:
    made = ml.jobs.create_or_update(job("echo all went well; echo 'no wind' >&2; exit 3", outputs={"model": Output(type="uri_folder")}))
    assert wait_for(ml, made.name) == "Failed"
    message = details(cloud, ml, made.name)["error"]["error"]["message"]
    assert "exited with status code 3" in message
    assert message.endswith("no wind")


def test_the_log_can_be_read_while_the_job_runs(cloud: Home, ml: MLClient, job, tmp_path: Path, wait_for, until) -> None:
    gate = tmp_path / "gate"
    made = ml.jobs.create_or_update(job(f"echo first; until [ -e {gate} ]; do sleep 0.1; done; echo second"))

    def log() -> str:
        url = details(cloud, ml, made.name)["logFiles"].get("user_logs/std_log.txt")
        return requests.get(url, verify=str(cloud.ca), timeout=20).text if url else ""

    assert "second" not in until(log, lambda text: "first" in text)
    assert ml.jobs.get(made.name).status == "Running"
    gate.touch()
    assert wait_for(ml, made.name) == "Completed"
    assert log() == "first\nsecond\n"


def test_cancel_ends_the_whole_process_tree(ml: MLClient, job, processes, wait_for, until) -> None:
    mark = f"sleep 6{uuid.uuid4().int % 10**9}"
    made = ml.jobs.create_or_update(job(f"setsid {mark} & (trap '' TERM; {mark}; {mark}) & {mark}; exit 0"))
    until(lambda: processes(mark), lambda found: len([*found]) >= 3)
    ml.jobs.begin_cancel(made.name)
    assert wait_for(ml, made.name, "CancelRequested", "Canceled")
    assert wait_for(ml, made.name) == "Canceled"
    assert processes(mark) == []


def test_processes_that_a_finished_command_left_are_ended(ml: MLClient, job, processes, wait_for) -> None:
    mark = f"sleep 6{uuid.uuid4().int % 10**9}"
    made = ml.jobs.create_or_update(job(f"setsid {mark} & echo done"))
    assert wait_for(ml, made.name) == "Completed"
    assert processes(mark) == []


def test_more_jobs_than_nodes_wait_and_a_waiting_job_is_cancelled_at_once(ml: MLClient, job, tmp_path: Path, wait_for) -> None:
    gate = tmp_path / "gate"
    made = [ml.jobs.create_or_update(job(f"until [ -e {gate} ]; do sleep 0.1; done")) for _ in range(3)]
    for one in made[:2]:
        wait_for(ml, one.name, "Running")
    assert ml.jobs.get(made[2].name).status == "Queued"
    ml.jobs.begin_cancel(made[2].name)
    assert ml.jobs.get(made[2].name).status == "Canceled"
    gate.touch()
    assert [wait_for(ml, one.name) for one in made] == ["Completed", "Completed", "Canceled"]
    ml.jobs.begin_cancel(made[0].name)
    assert ml.jobs.get(made[0].name).status == "Completed", "a job that is over stays as it is"


def test_the_same_job_is_the_same_job_and_another_of_its_name_is_refused(ml: MLClient, job, lake: ContainerClient, wait_for) -> None:
    name = f"job-{uuid.uuid4().hex[:12]}"
    out = {"o": Output(type="uri_folder", path=f"{LAKE}/t/{name}/")}
    run = "date +%N > ${{outputs.o}}/when"
    ml.jobs.create_or_update(job(run, name=name, outputs=out))
    wait_for(ml, name)
    when = lake.download_blob(f"t/{name}/when").readall()
    assert ml.jobs.create_or_update(job(run, name=name, outputs=out)).status == "Completed"
    with pytest.raises(HttpResponseError, match="A job with this name already exists"):
        ml.jobs.create_or_update(job(run + " # other", name=name, outputs=out))
    assert lake.download_blob(f"t/{name}/when").readall() == when
    assert name in [found.name for found in ml.jobs.list()]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"inputs": {"d": Input(type="uri_folder", path=f"{LAKE}/t/nothing/here")}}, "is empty or does not exist"),
        ({"inputs": {"d": Input(type="uri_file", path=f"{LAKE}/t/nothing.json")}}, "404"),
    ],
)
def test_a_job_without_its_inputs_fails_with_the_reason(cloud: Home, ml: MLClient, job, said, reason: str, wait_for) -> None:
    made = ml.jobs.create_or_update(job("ls ${{inputs.d}}", **said))
    assert wait_for(ml, made.name) == "Failed"
    assert reason in details(cloud, ml, made.name)["error"]["error"]["message"]


def test_what_cannot_be_run_is_refused(ml: MLClient, job) -> None:
    with pytest.raises(ResourceNotFoundError, match="there is no job nobody"):
        ml.jobs.get("nobody")
    elsewhere = {"d": Input(type="uri_folder", path="azureml://datastores/other/paths/x")}
    with pytest.raises(HttpResponseError, match="neither on the datastore 'lake'"):
        ml.jobs.create_or_update(job("ls ${{inputs.d}}", inputs=elsewhere))
