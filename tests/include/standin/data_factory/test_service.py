"""The management API over TLS, and pipelines that really move blobs."""

import dataclasses
import io
import json
import shutil
import time
from datetime import UTC, datetime, timedelta

import httpx
import pyarrow.parquet as pq
import pytest

from include import workloads
from include.standin import data_factory, entra
from include.standin.entra.models import Directory
from include.standin.home import Home, free_port_base
from include.standin.serving import Background, create_app
from include.standin.storage.set_up import blob_service

HEADER = "Wind_turbine_name,Date_time,Ba_avg,P_avg,Ws_avg,Va_avg,Ot_avg,Ya_avg,Wa_avg"
OVER = ("Succeeded", "Failed", "Cancelled")


def client(home, url):
    known = home.identity
    path = f"/subscriptions/{known.subscription_id}/resourceGroups/edgeloop/providers/Microsoft.DataFactory/factories/edgeloop"
    token = Directory(home).issue(home.audience)
    return httpx.Client(
        base_url=url + path,
        verify=str(home.ca),
        headers={"Authorization": f"Bearer {token}"},
        params={"api-version": "2018-06-01"},
        timeout=30,
    )


def put(api, kind, name, properties):
    answer = api.put(f"/{kind}/{name}", json={"properties": properties})
    assert answer.status_code == 200, answer.text
    return answer.json()


def deploy(api, home):
    folder = workloads.folder("wind_power") / "data_factory"
    for kind in ("linkedService", "dataset", "pipeline"):
        for file in (folder / kind).glob("*.json"):
            said = json.loads(file.read_text())
            if kind == "linkedService":
                said["properties"]["typeProperties"]["serviceEndpoint"] = home.blob_url(home.account())
            put(api, f"{kind}s", said["name"], said["properties"])


def waiting(seconds, **more):
    return {"activities": [{"name": "Pause", "type": "Wait", "typeProperties": {"waitTimeInSeconds": seconds}, **more}]}


def start(api, pipeline, **parameters):
    answer = api.post(f"/pipelines/{pipeline}/createRun", json=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()["runId"]


def until(api, run, statuses=OVER):
    for _ in range(300):
        said = api.get(f"/pipelineruns/{run}").json()
        if said["status"] in statuses:
            return said
        time.sleep(0.1)
    raise AssertionError(f"run {run} is still {said['status']}")


def window():
    now = datetime.now(UTC)
    return {"lastUpdatedAfter": (now - timedelta(hours=1)).isoformat(), "lastUpdatedBefore": (now + timedelta(hours=1)).isoformat()}


@pytest.fixture(scope="module")
def api(cloud):
    with client(cloud, cloud.url("cloud")) as found:
        deploy(found, cloud)
        yield found


@pytest.fixture(scope="module")
def blobs(cloud):
    with blob_service(cloud, cloud.account()) as found:
        yield found


def export(blobs, site, day, rows):
    blobs.get_blob_client("historian", f"{site}/{day}.csv").upload_blob("\n".join([HEADER, *rows]) + "\n", overwrite=True)


def ingest(api, site, first, last, key="k"):
    return until(api, start(api, "wind_power_ingest", site=site, windowStart=first, windowEnd=last, runKey=key))


def test_the_workloads_pipeline_brings_each_day_into_its_partition(api, blobs):
    export(
        blobs, "east", "2012-02-29", ["R1,2012-02-29T00:00:00Z,-1.0,810.5,9.1,0.4,7.7,201,", "R2,2012-02-29T00:00:00Z,,,8.8,,7.5,,199.5"]
    )
    export(blobs, "east", "2012-03-01", ["R1,2012-03-01T00:00:00Z,1,2,3,4,5,6,7"])
    run = ingest(api, "east", "2012-02-29", "2012-03-01")
    assert (run["status"], run["message"]) == ("Succeeded", "")
    assert run["parameters"] == {"site": "east", "windowStart": "2012-02-29", "windowEnd": "2012-03-01", "runKey": "k"}

    def rows(day):
        name = f"wind_power/raw/site=east/date={day}/measurements.parquet"
        return pq.read_table(io.BytesIO(blobs.get_blob_client("lake", name).download_blob().readall())).to_pylist()

    assert [list(row.values())[2:] for row in rows("2012-02-29")] == [
        [-1.0, 810.5, 9.1, 0.4, 7.7, 201.0, None],
        [None, None, 8.8, None, 7.5, None, 199.5],
    ]
    assert rows("2012-03-01") == [
        {
            "turbine": "R1",
            "time": datetime(2012, 3, 1, tzinfo=UTC),
            "pitch_deg": 1.0,
            "power_kw": 2.0,
            "wind_speed_ms": 3.0,
            "vane_deg": 4.0,
            "temperature_c": 5.0,
            "nacelle_deg": 6.0,
            "wind_direction_deg": 7.0,
        }
    ]
    activities = api.post(f"/pipelineruns/{run['runId']}/queryActivityruns", json=window()).json()["value"]
    assert sorted((one["activityName"], one["status"]) for one in activities) == [("CopyDay", "Succeeded")] * 2 + [("EachDay", "Succeeded")]
    assert sum(one["output"].get("rowsCopied", 0) for one in activities) == 3


def test_a_missing_day_is_named_and_the_others_are_copied(api, blobs):
    export(blobs, "east", "2012-05-01", ["R1,2012-05-01T00:00:00Z,1,2,3,4,5,6,7"])
    run = ingest(api, "east", "2012-05-01", "2012-05-03")
    assert run["status"] == "Failed"
    assert "Operation on target EachDay failed" in run["message"]
    assert "ErrorCode=UserErrorSourceBlobNotExist" in run["message"]
    assert "path: east/2012-05-02.csv" in run["message"]
    assert "(and 1 more)" in run["message"]
    assert blobs.get_blob_client("lake", "wind_power/raw/site=east/date=2012-05-01/measurements.parquet").exists()
    failed = [
        one
        for one in api.post(f"/pipelineruns/{run['runId']}/queryActivityruns", json=window()).json()["value"]
        if one["status"] == "Failed"
    ]
    assert {one["error"]["errorCode"] for one in failed} == {"2200"}


def test_a_value_that_is_no_number_is_named_with_file_row_and_column(api, blobs):
    export(blobs, "east", "2012-06-01", ["R1,2012-06-01T00:00:00Z,1,2,3,4,5,6,7", "R1,2012-06-01T00:10:00Z,1,n/a,3,4,5,6,7"])
    message = ingest(api, "east", "2012-06-01", "2012-06-01")["message"]
    assert "ErrorCode=TypeConversionFailure" in message
    assert "value 'n/a' for column name 'P_avg'" in message
    assert "in file 'east/2012-06-01.csv' with row number 3" in message


def test_a_binary_copy_moves_bytes(api, blobs):
    service = {"linkedServiceName": {"referenceName": "edgeloop_lake", "type": "LinkedServiceReference"}, "type": "Binary"}
    for name in ("here", "there"):
        location = {"type": "AzureBlobStorageLocation", "container": "lake", "folderPath": name, "fileName": "a b=c.bin"}
        put(api, "datasets", name, {**service, "typeProperties": {"location": location}})
    copy = {"source": {"type": "BinarySource"}, "sink": {"type": "BinarySink"}}
    activity = {
        "name": "Move",
        "type": "Copy",
        "typeProperties": copy,
        "inputs": [{"referenceName": "here"}],
        "outputs": [{"referenceName": "there"}],
    }
    put(api, "pipelines", "move", {"activities": [activity]})
    blobs.get_blob_client("lake", "here/a b=c.bin").upload_blob(b"\x00\xff", overwrite=True)
    assert until(api, start(api, "move"))["status"] == "Succeeded"
    assert blobs.get_blob_client("lake", "there/a b=c.bin").download_blob().readall() == b"\x00\xff"


def test_cancel_really_stops_a_run(api):
    put(api, "pipelines", "slow", waiting(600))
    run = start(api, "slow")
    until(api, run, ("InProgress",))
    assert api.post(f"/pipelineruns/{run}/cancel").status_code == 200
    said = until(api, run)
    assert said["status"] == "Cancelled"
    activity = api.post(f"/pipelineruns/{run}/queryActivityruns", json=window()).json()["value"][0]
    assert activity["status"] == "Cancelled"
    assert api.post(f"/pipelineruns/{run}/cancel").status_code == 200  # a second time changes nothing
    assert api.get(f"/pipelineruns/{run}").json() == said


def test_dependencies_are_kept_and_outputs_go_on(api):
    first = {"name": "First", "type": "Wait", "typeProperties": {"waitTimeInSeconds": 0}}
    second = {
        "name": "Second",
        "type": "Wait",
        "typeProperties": {
            "waitTimeInSeconds": {"value": "@if(equals(activity('First').status, 'Succeeded'), 0, 600)", "type": "Expression"}
        },
        "dependsOn": [{"activity": "First", "dependencyConditions": ["Succeeded"]}],
    }
    put(api, "pipelines", "chain", {"activities": [second, first]})
    run = until(api, start(api, "chain"))
    assert run["status"] == "Succeeded", run["message"]
    activities = api.post(f"/pipelineruns/{run['runId']}/queryActivityruns", json=window()).json()["value"]
    assert [one["activityName"] for one in activities] == ["First", "Second"]


def test_runs_are_found_by_name_status_and_time_page_after_page(api):
    put(api, "pipelines", "quick", waiting(0))
    made = {start(api, "quick") for _ in range(102)}
    for run in made:
        until(api, run)
    query = {
        **window(),
        "filters": [
            {"operand": "PipelineName", "operator": "Equals", "values": ["quick"]},
            {"operand": "Status", "operator": "In", "values": ["Succeeded"]},
        ],
    }
    first = api.post("/queryPipelineRuns", json=query).json()
    assert len(first["value"]) == 100
    second = api.post("/queryPipelineRuns", json={**query, "continuationToken": first["continuationToken"]}).json()
    assert {run["runId"] for run in first["value"] + second["value"]} == made
    assert "continuationToken" not in second
    past = {"lastUpdatedAfter": "2000-01-01T00:00:00Z", "lastUpdatedBefore": "2000-01-02T00:00:00Z"}
    assert api.post("/queryPipelineRuns", json=past).json()["value"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "message"),
    [
        ("POST", "/pipelines/nowhere/createRun", {}, 404, "PipelineNotFound", "pipeline 'nowhere' does not exist in factory 'edgeloop'"),
        ("POST", "/pipelines/wind_power_ingest/createRun", {"site": "east"}, 400, "BadRequest", "windowStart, windowEnd, runKey"),
        ("GET", "/pipelineruns/none", None, 404, "PipelineRunNotFound", "'none'"),
        ("POST", "/pipelineruns/none/cancel", {}, 404, "PipelineRunNotFound", "'none'"),
        ("PUT", "/datasets/a", {"properties": {}}, 400, "BadRequest", "no 'type'"),
        ("PUT", "/datasets/..", {"properties": {"type": "x"}}, 404, None, None),
        ("PUT", "/datasets/a%2Fb", {"properties": {"type": "x"}}, 404, None, None),
        ("PUT", "/datasets/a.b", {"properties": {"type": "x"}}, 400, "BadRequest", "is not a name"),
        ("GET", "/datasets/a.b", None, 404, "DatasetNotFound", "'a.b'"),
        ("GET", "/triggers", None, 404, "InvalidResourceType", "'triggers' is not supported"),
        ("POST", "/queryPipelineRuns", {}, 400, "BadRequest", "'lastUpdatedAfter' is required"),
        ("POST", "/queryPipelineRuns", [], 400, "BadRequest", "not an object"),
        ("POST", "/queryPipelineRuns", {**window(), "filters": [{"operand": "Colour"}]}, 400, "BadRequest", "is not supported"),
        ("POST", "/queryPipelineRuns", {**window(), "continuationToken": "x"}, 400, "BadRequest", "continuation token"),
    ],
)
def test_refusals_have_the_services_codes(api, method, path, body, status, code, message):
    answer = api.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    if code:
        assert answer.json()["error"]["code"] == code
        assert message in answer.json()["error"]["message"]


def test_a_token_is_asked_for(cloud, api):
    assert api.get("/pipelines", headers={"Authorization": ""}).status_code == 401
    wrong = Directory(cloud).issue("https://storage.azure.com")
    assert api.get("/pipelines", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (
            {"activities": [{"name": "A", "type": "Lookup", "typeProperties": {}}]},
            "activity type 'Lookup' is not supported by the embedded",
        ),
        (waiting({"value": "@pipeline().parameters.gone", "type": "Expression"}), "property 'gone' doesn't exist"),
        (waiting(0, dependsOn=[{"activity": "Missing", "dependencyConditions": ["Succeeded"]}]), "a dependency that is never met"),
        (
            {"activities": [{"name": "A", "type": "ForEach", "typeProperties": {"items": "@string(1)", "activities": []}}]},
            "a ForEach needs an array, and this is str",
        ),
        (
            {
                "activities": [
                    {
                        "name": "A",
                        "type": "Copy",
                        "typeProperties": {},
                        "inputs": [{"referenceName": "gone"}],
                        "outputs": [{"referenceName": "gone"}],
                    }
                ]
            },
            "ErrorCode=DatasetNotFound",
        ),
    ],
)
def test_a_pipeline_that_cannot_run_fails_with_its_reason(api, pipeline, message):
    put(api, "pipelines", "broken", pipeline)
    run = until(api, start(api, "broken"))
    assert run["status"] == "Failed"
    assert message in run["message"]


def test_definitions_are_listed_replaced_and_deleted(api):
    put(api, "pipelines", "short_lived", waiting(0))
    replaced = put(api, "pipelines", "short_lived", waiting(1))
    assert replaced["properties"] == waiting(1)
    assert replaced["id"].endswith("/factories/edgeloop/pipelines/short_lived")
    assert "short_lived" in {one["name"] for one in api.get("/pipelines").json()["value"]}
    assert api.delete("/pipelines/short_lived").status_code == 200
    assert api.delete("/pipelines/short_lived").status_code == 204
    assert api.get("/pipelines/short_lived").status_code == 404


@pytest.fixture
def own(storage, tmp_path):
    """A factory of its own: the same identity and storage, another folder and port."""
    shutil.copytree(storage.path / "ca", tmp_path / "ca")
    return Home(tmp_path, dataclasses.replace(storage.identity)), free_port_base(1)


def serve(home, port):
    return Background(create_app(home, entra.create(home), data_factory.create(home)), home, port)


def test_an_interrupted_run_is_taken_up_by_the_next_start(own):
    home, port = own
    with serve(home, port) as url, client(home, url) as api:
        put(api, "pipelines", "pause", waiting(600))
        run = start(api, "pause")
        until(api, run, ("InProgress",))
    with serve(home, port) as url, client(home, url) as api:
        until(api, run, ("InProgress",))
        api.post(f"/pipelineruns/{run}/cancel")
        assert until(api, run)["status"] == "Cancelled"


def test_what_a_killed_factory_left_on_disk_goes_on(own):
    home, port = own
    with serve(home, port) as url, client(home, url) as api:
        put(api, "pipelines", "pause", waiting(0))
        run, cancelled = start(api, "pause"), start(api, "pause")
        until(api, run)
        until(api, cancelled)
    folder = home.folder("data_factory") / "runs"
    for name, status in ((run, "InProgress"), (cancelled, "Canceling")):
        file = folder / f"{name}.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "status": status, "end": None}))
    (folder / ".half-written.json.1").write_text("{")
    with serve(home, port) as url, client(home, url) as api:
        assert until(api, run)["status"] == "Succeeded"
        assert until(api, cancelled)["status"] == "Cancelled"
