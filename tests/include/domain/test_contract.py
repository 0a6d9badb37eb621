import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.contract import Anomaly, Contract, ContractError, FieldError, Input, Target, Tensor

CONTRACT = Contract(
    workload="wind_power",
    snapshot="sha256:" + "a" * 64,
    model_digest="sha256:" + "b" * 64,
    trained_on="2014-01-01..2014-12-31",
    inputs=(
        Input("turbine", "category", values=("R80711", "R80721"), required=True),
        Input("wind_speed_ms", "number", "m/s", 0, 40, required=True),
        Input("temperature_c", "number", "degC", -30, 45),
    ),
    tensor=Tensor("features", "prediction"),
    target=Target("power_kw", "kW"),
    anomaly=Anomaly(-300.0, "kW"),
)


def test_json_and_back():
    assert Contract.read(CONTRACT.to_json()) == CONTRACT
    assert json.loads(CONTRACT.to_json())["inputs"][0] == {
        "name": "turbine",
        "type": "category",
        "values": ["R80711", "R80721"],
        "required": True,
    }


def test_a_record_becomes_a_row_in_the_order_of_the_inputs():
    row = CONTRACT.encode({"temperature_c": 3, "turbine": "R80721", "wind_speed_ms": 7.5, "power_kw": 900})
    assert row == [1.0, 7.5, 3.0]


def test_a_missing_optional_value_is_nan():
    assert math.isnan(CONTRACT.encode({"turbine": "R80711", "wind_speed_ms": 7.5})[2])
    assert math.isnan(CONTRACT.encode({"turbine": "R80711", "wind_speed_ms": 7.5, "temperature_c": math.nan})[2])


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        ({"wind_speed_ms": 7}, "turbine", "is required"),
        ({"turbine": "R80711", "wind_speed_ms": None}, "wind_speed_ms", "is required"),
        ({"turbine": "X", "wind_speed_ms": 7}, "turbine", "must be one of R80711, R80721"),
        ({"turbine": ["R80711"], "wind_speed_ms": 7}, "turbine", "must be one of R80711, R80721"),
        ({"turbine": "R80711", "wind_speed_ms": "7"}, "wind_speed_ms", "must be a number"),
        ({"turbine": "R80711", "wind_speed_ms": True}, "wind_speed_ms", "must be a number"),
        ({"turbine": "R80711", "wind_speed_ms": 41}, "wind_speed_ms", "must lie between 0 and 40 m/s"),
        ({"turbine": "R80711", "wind_speed_ms": math.inf}, "wind_speed_ms", "must lie between 0 and 40 m/s"),
        ({"turbine": "R80711", "wind_speed_ms": 7, "temperature_c": -273.2}, "temperature_c", "must lie between -30 and 45 degC"),
    ],
)
def test_a_bad_record_names_its_field(record, field, reason):
    with pytest.raises(FieldError) as caught:
        CONTRACT.encode(record)
    assert (caught.value.field, caught.value.reason) == (field, reason)


ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(-500, 500), st.floats(), st.sampled_from(["R80711", "", "7"]))


@given(st.fixed_dictionaries({"turbine": ANYTHING, "wind_speed_ms": ANYTHING}, optional={"temperature_c": ANYTHING}))
def test_any_record_is_encoded_or_refused(record):
    try:
        row = CONTRACT.encode(record)
    except FieldError:
        return
    assert len(row) == 3
    assert all(math.isnan(value) or math.isfinite(value) for value in row)


def test_the_threshold_itself_is_no_anomaly():
    assert CONTRACT.is_anomaly(-300.1)
    assert not CONTRACT.is_anomaly(-300.0)
    assert not CONTRACT.is_anomaly(None)


def test_no_measurement_no_residual():
    assert CONTRACT.residual(900.0, 1000.0) == -100.0
    assert CONTRACT.residual(None, 1000.0) is None
    assert CONTRACT.residual(math.nan, 1000.0) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("{}", "lacks 'workload'"),
        (CONTRACT.to_json().replace('"below"', '"under"'), "under"),
        (CONTRACT.to_json().replace('"number"', '"tensor"', 1), "has type 'tensor'"),
    ],
)
def test_a_broken_contract_says_where(text, message):
    with pytest.raises(ContractError, match=message):
        Contract.read(text)
