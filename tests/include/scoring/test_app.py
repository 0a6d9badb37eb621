"""The scorer's routes, over HTTP, on the real process."""

import json
from typing import Any

import pytest

GOOD = {"turbine": "R80721", "wind_speed_ms": 8.0, "temperature_c": 5, "power_kw": 300.5, "time": "2015-01-03T10:20:00+01:00"}
EXPECTED = 10 + 800 - 5


def test_scores(one: Any) -> None:
    reply = one.score(GOOD, {"turbine": "R80711", "wind_speed_ms": 1}, {**GOOD, "power_kw": 800})
    said = reply.json()
    assert {name: said[name] for name in ("model", "release", "snapshot")} == {
        "model": "wind_power",
        "release": "sha256:" + "d" * 64,
        "snapshot": "sha256:" + "5" * 64,
    }
    assert [{name: score[name] for name in ("expected", "residual", "anomaly")} for score in said["scores"]] == [
        {"expected": EXPECTED, "residual": 300.5 - EXPECTED, "anomaly": True},
        {"expected": 100, "residual": None, "anomaly": False},
        {"expected": EXPECTED, "residual": -5, "anomaly": False},
    ]
    assert len({score["id"] for score in said["scores"]}) == 3


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"turbine": "R99999"}, "turbine", "must be one of R80711, R80721"),
        ({"turbine": None}, "turbine", "is required"),
        ({"turbine": ["R80711"]}, "turbine", "is a finite number, a text"),
        ({"wind_speed_ms": None}, "wind_speed_ms", "is required"),
        ({"wind_speed_ms": "8"}, "wind_speed_ms", "must be a number"),
        ({"wind_speed_ms": True}, "wind_speed_ms", "must be a number"),
        ({"wind_speed_ms": 40.1}, "wind_speed_ms", "must lie between 0 and 40 m/s"),
        ({"temperature_c": -30.5}, "temperature_c", "must lie between -30 and 45 degC"),
        ({"power_kw": "much"}, "power_kw", "must be a number"),
        ({"power_kw": 1e300}, "power_kw", "float32"),
        ({"time": "at noon"}, "time", "is a time as ISO 8601"),
        ({"time": 7}, "time", "is a time as ISO 8601"),
        ({"note": {"a": 1}}, "note", "is a finite number, a text"),
        ({"note": "x" * 257}, "note", "is a finite number, a text"),
        ({"n" * 65: 1}, "n" * 64, "a name has at most"),
        ({f"n{n}": 1 for n in range(60)}, "(record)", "has at most"),
        ({f"n{n}": "€" * 256 for n in range(50)}, "(record)", "has too much text"),
    ],
)
def test_a_bad_record_is_named(one: Any, change: dict[str, Any], field: str, reason: str) -> None:
    before = one.outbox()
    reply = one.score(GOOD, {**GOOD, **change})
    said = reply.json()
    assert (reply.status_code, said["record"], said["field"]) == (422, 1, field)
    assert reason in said["reason"]
    assert one.outbox() == before, "a request that is refused leaves nothing"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b'{"records": []}', 400),
        (b'{"records": {}}', 400),
        (b"[]", 400),
        (b'{"records": [7]}', 422),
        (b'{"records": [{"turbine": "R80711", "wind_speed_ms": NaN}]}', 400),
        (b'{"records": [{"turbine": "R80711", "wind_speed_ms": 1e999}]}', 400),
        (b'{"records": [' + b"{}," * 10_000 + b"{}]}", 413),
        (b" " * (4 << 20) + b" ", 413),
    ],
)
def test_a_body_that_is_none_is_refused(one: Any, body: bytes, status: int) -> None:
    reply = one.http.post("/score", content=body)
    assert reply.status_code == status
    assert reply.json()["error"]


def test_a_body_without_a_length_is_bounded_too(one: Any) -> None:
    reply = one.http.post("/score", content=(b" " * (1 << 20) for _ in range(5)))
    assert reply.status_code == 413


def test_ten_thousand_records_at_once(one: Any) -> None:
    scores = one.score(*[{**GOOD, "wind_speed_ms": n % 40} for n in range(10_000)]).json()["scores"]
    assert [score["expected"] for score in scores[:45]] == [10 + 100 * (n % 40) - 5 for n in range(45)]
    assert len(scores) == 10_000


def test_a_replay_leaves_no_trace(one: Any) -> None:
    before, recorded = one.outbox(), one.http.get("/recorded?limit=500").json()
    assert one.score(GOOD, **{"EdgeLoop-Replay": "true"}).json()["scores"][0]["expected"] == EXPECTED
    assert one.outbox() == before
    assert one.http.get("/recorded?limit=500").json() == recorded


def test_recorded_requests_can_be_asked_again(one: Any) -> None:
    one.score(GOOD, {**GOOD, "expected": 7, "anomaly": True})
    (request,) = one.http.get("/recorded?limit=1").json()["requests"]
    assert request == {"records": [{**GOOD, "time": "2015-01-03T09:20:00Z"}] * 2}
    assert one.score(*request["records"]).status_code == 200
    assert one.http.get("/recorded?limit=x").status_code == 400


def test_open_inference_protocol(one: Any) -> None:
    assert one.http.get("/v2").json()["name"] == "edgeloop-scorer"
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/wind_power/ready"):
        assert one.http.get(path).status_code == 200
    model = one.http.get("/v2/models/wind_power").json()
    assert [tensor["name"] for tensor in model["inputs"]] == ["turbine", "wind_speed_ms", "temperature_c"]
    assert one.http.get("/v2/models/other").status_code == 404
    columns = [
        {"name": "turbine", "shape": [2], "datatype": "BYTES", "data": ["R80711", "R80721"]},
        {"name": "wind_speed_ms", "shape": [2, 1], "datatype": "FP64", "data": [[8], [8]]},
        {"name": "power_kw", "shape": [2], "datatype": "FP64", "data": [None, 1]},
    ]
    matrix = [{"name": "features", "shape": [2, 3], "datatype": "FP32", "data": [0, 8, None, 1, 8, 0]}]
    for inputs in (columns, matrix):
        reply = one.http.post("/v2/models/wind_power/infer", json={"id": "7", "inputs": inputs})
        said = reply.json()
        assert (said["id"], said["model_name"], said["model_version"]) == ("7", "wind_power", model["versions"][0])
        outputs = {tensor["name"]: tensor["data"] for tensor in said["outputs"]}
        assert outputs["prediction"] == [800, 810]
        assert outputs["anomaly"] == [False, inputs is columns]


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        (None, 400),
        ([], 400),
        ([{"name": "features", "shape": [1, 3], "data": [0, 8]}], 400),
        ([{"name": "features", "shape": [3], "data": [0, 8, 1]}], 400),
        ([{"name": "turbine", "shape": [1], "data": ["R80711"]}, {"name": "wind_speed_ms", "shape": [2], "data": [1, 2]}], 400),
        ([{"name": "features", "shape": [1, 3], "data": [5, 8, 1]}], 422),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(one: Any, inputs: Any, status: int) -> None:
    reply = one.http.post("/v2/models/wind_power/infer", json={"inputs": inputs})
    assert reply.status_code == status
    assert reply.json()["error"]


def test_feedback(one: Any) -> None:
    event = one.score({**GOOD, "note": "by hand"}).json()["scores"][0]["id"]
    before = one.outbox()["recorded"]
    reply = one.http.post("/feedback", json={"event": event, "label": "false_alarm", "comment": "ice"})
    assert reply.status_code == 202
    assert one.outbox()["recorded"] == before + 1
    assert one.http.post("/feedback", json={"event": reply.json()["id"], "label": "confirmed"}).status_code == 422
    for body, status in (
        ({"event": "01a22ddf-cbc5-7a9c-b586-ef877a5aab94", "label": "confirmed"}, 404),
        ({"event": event, "label": "perhaps"}, 422),
        ({"event": event, "label": "confirmed", "comment": "x" * 2001}, 422),
        ({"event": 7, "label": "confirmed"}, 400),
        ([], 400),
    ):
        assert one.http.post("/feedback", json=body).status_code == status


def test_metrics(one: Any) -> None:
    one.score(GOOD)
    text = one.http.get("/metrics").text
    assert f"edgeloop_events_recorded_total {one.outbox()['recorded']:.1f}" in text
    assert 'edgeloop_records_total{kind="anomaly"}' in text


def test_the_page_needs_nothing_but_its_server(one: Any) -> None:
    page = one.http.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    text = page.text
    for name in ("turbine", "wind_speed_ms", "temperature_c", "power_kw", "time"):
        assert f'name="{name}"' in text
    assert "<option>R80721</option>" in text
    assert "style=" not in text
    assert "$" not in text
    for path in ("/static/scorer.js", "/static/scorer.css"):
        assert path in text
        assert one.http.get(path).status_code == 200
        assert "http" not in one.http.get(path).text.replace("http://www.w3.org/2000/svg", "")
    assert "http" not in text


def test_the_answer_is_json_of_finite_numbers(one: Any) -> None:
    json.loads(one.score(GOOD).text, parse_constant=lambda name: pytest.fail(name))
