"""The model: what is loaded, what is refused, and that whole columns mean the same as the contract says of single values."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.contract import FieldError
from include.scoring.model import Model, ModelError, RecordError

FOLDER = Path(__file__).parent / "model"
MODEL = Model.load(FOLDER, "wind_power")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "model"))


def test_scores() -> None:
    scores = MODEL.score([{"turbine": "R80721", "wind_speed_ms": 8, "power_kw": 100}, {"turbine": "R80711", "wind_speed_ms": 1.5}])
    assert [(score.expected, score.residual, score.anomaly) for score in scores] == [(810, -710, True), (150, None, False)]


def test_a_model_of_other_bytes_is_refused(folder: Path) -> None:
    data = bytearray((folder / "model.onnx").read_bytes())
    data[-1] ^= 1
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="but its contract is for sha256:"):
        Model.load(folder, "wind_power")


def test_a_model_of_another_workload_is_refused() -> None:
    with pytest.raises(ModelError, match="is for wind_power, this scorer serves other"):
        Model.load(FOLDER, "other")


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        Model.load(tmp_path, "wind_power")


def test_a_graph_that_does_not_fit_its_contract_is_refused(folder: Path) -> None:
    contract = json.loads((folder / "contract.json").read_text())
    contract["inputs"].pop()
    (folder / "contract.json").write_text(json.dumps(contract))
    with pytest.raises(ModelError, match="does not fit its contract"):
        Model.load(folder, "wind_power")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-100, 100), st.floats(), st.sampled_from(["R80711", "R80721", "x", 1e39, -1e39, 10**30, [], {}])
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["turbine", "wind_speed_ms", "temperature_c"]), VALUES), min_size=1, max_size=5)
GOOD = st.fixed_dictionaries({"turbine": st.sampled_from(["R80711", "R80721"]), "wind_speed_ms": st.floats(0, 40)})


@settings(deadline=None)
@given(
    RECORDS
    | st.lists(GOOD, min_size=1)
    | st.tuples(st.lists(GOOD, min_size=20, max_size=20), RECORDS).map(lambda parts: parts[0] + parts[1])
)
def test_columns_mean_what_the_contract_says(records: list[dict[str, Any]]) -> None:
    try:
        expected = [MODEL.contract.encode(record) for record in records]
    except FieldError:
        with pytest.raises(RecordError) as caught:
            MODEL.encode(records)
        with pytest.raises(FieldError, match=caught.value.reason[:10].replace("(", ".")):
            MODEL.contract.encode({**records[caught.value.record]})
    else:
        np.testing.assert_array_equal(MODEL.encode(records), np.array(expected, np.float32))


def test_missing_is_nan() -> None:
    assert math.isnan(MODEL.encode([{"turbine": "R80711", "wind_speed_ms": 1}])[0, 2])
