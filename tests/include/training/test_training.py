import hashlib
import json
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from include import workloads
from include.domain.contract import Contract
from include.domain.snapshot import Snapshot
from include.domain.windows import Window
from include.training.data import TrainingError, read_partitions
from tests.training_job import Job

TWO_MONTHS = Window(date(2014, 1, 1), date(2014, 2, 28))
FILES = ["contract.json", "golden.parquet", "holdout.parquet", "metrics.json", "model.onnx", "model_card.md", "profile.json"]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    found = Job(tmp_path_factory.mktemp("job"), TWO_MONTHS).prepare()
    done = found.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return found


def test_a_job_leaves_every_file_of_a_candidate(job):
    assert sorted(path.name for path in job.out.iterdir()) == FILES


def test_the_contract_is_that_of_the_model(job):
    contract = Contract.read((job.out / "contract.json").read_text())
    assert contract.model_digest == "sha256:" + hashlib.sha256((job.out / "model.onnx").read_bytes()).hexdigest()
    assert contract.snapshot == Snapshot.from_json(job.manifest.read_text()).digest
    assert contract.trained_on == "2014-01-01..2014-02-28"
    assert [column.name for column in contract.inputs] == ["turbine", "wind_speed_ms", "temperature_c", "wind_direction_deg"]
    assert contract.inputs[0].values == ("R80711", "R80721", "R80736", "R80790")
    assert -600 < contract.anomaly.below < -50


def test_onnx_says_what_the_native_model_said(job):
    import numpy as np
    import onnxruntime

    contract = Contract.read((job.out / "contract.json").read_text())
    golden = pq.read_table(job.out / "golden.parquet").to_pylist()
    assert {row["kind"] for row in golden} == {"sample", "boundary", "missing"}
    tensor = np.array([contract.encode(row) for row in golden], dtype=np.float32)
    session = onnxruntime.InferenceSession((job.out / "model.onnx").read_bytes())
    said = session.run([contract.tensor.output], {contract.tensor.input: tensor})[0].reshape(-1)
    assert np.abs(said - [row["expected"] for row in golden]).max() < 0.01


def test_the_hold_out_are_the_last_days_and_the_metrics_are_its(job):
    held = pq.read_table(job.out / "holdout.parquet")
    said = json.loads((job.out / "metrics.json").read_text())
    assert held.column_names == [
        "turbine",
        "wind_speed_ms",
        "temperature_c",
        "wind_direction_deg",
        "site",
        "time",
        "power_kw",
        "prediction",
    ]
    assert pc.min(held["time"]).as_py() == datetime.fromisoformat("2014-01-29T00:00:00Z")
    assert said["holdout"] == {"first": "2014-01-29", "last": "2014-02-28", "rows": held.num_rows}
    residual = held["power_kw"].to_numpy() - held["prediction"].to_numpy()
    assert said["rmse"] == pytest.approx((residual**2).mean() ** 0.5, abs=0.001)
    assert set(said["slices"]) == {"site", "turbine"}
    assert sum(found["rows"] for found in said["slices"]["turbine"].values()) == held.num_rows
    assert set(said["slices"]["site"]["north"]) == {"rows", "rmse", "baseline_rmse"}


def test_the_profile_and_the_card_describe_the_training_data(job):
    profile = json.loads((job.out / "profile.json").read_text())
    wind = profile["inputs"]["wind_speed_ms"]
    assert sum(wind["counts"]) == profile["rows"]
    assert len(wind["edges"]) == len(wind["counts"]) + 1
    assert sum(profile["inputs"]["turbine"]["counts"].values()) == profile["rows"]
    card = (job.out / "model_card.md").read_text()
    assert "binned power curve" in card
    assert "| all but stopped machines |" in card
    assert "| turbine R80711 |" in card


def test_the_same_input_gives_the_same_bytes(job, tmp_path):
    done = job.run(out=tmp_path / "again", env={"OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7"})
    assert done.returncode == 0, done.stdout + done.stderr
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (job.out / name).read_bytes(), name


def answers(folder, rows):
    path = folder / "feedback" / "site=north" / "date=2014-01-10" / "a.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return Job.part("wind_power/feedback/site=north/date=2014-01-10/a.parquet", path)


def test_what_people_said_changes_what_is_learned(job, tmp_path):
    told = Job(tmp_path, TWO_MONTHS).prepare()
    at = [datetime.fromisoformat(f"2014-01-10T{hour:02d}:00:00Z") for hour in range(3)]
    labels = ["confirmed", "maintenance", "false_alarm"]
    rows = [{"turbine": "R80711", "time": time, "label": label} for time, label in zip(at, labels, strict=True)]
    told.add(answers(tmp_path, rows))
    done = told.run("--feedback", str(tmp_path / "feedback"))
    assert done.returncode == 0, done.stdout + done.stderr
    before, after = (json.loads((found.out / "metrics.json").read_text())["training"] for found in (job, told))
    assert after == {"trained": before["trained"] - 2, "stopped": before["stopped"], "labelled": 2, "false_alarms": 1}


def refused(job, *more, **how):
    done = job.run(*more, **how)
    assert done.returncode == 2, done.stdout + done.stderr
    assert not job.out.exists()
    return done.stdout.splitlines()[-1]


def unreadable(job, window=None):
    snapshot = Snapshot.from_json(job.manifest.read_text())
    with pytest.raises(TrainingError) as found:
        read_partitions(job.data, workloads.load("wind_power"), snapshot, Window.parse(window) if window else job.window)
    return str(found.value)


def test_data_that_is_not_the_snapshot_is_refused(tmp_path):
    few = Job(tmp_path, Window(date(2014, 1, 1), date(2014, 1, 3))).prepare()
    assert "ask for a window of more than 31 days" in refused(few)
    assert "is not of the window 2014-01-02..2014-01-03" in unreadable(few, window="2014-01-02..2014-01-03")
    path = few.data / "site=north" / "date=2014-01-02" / "measurements.parquet"
    path.write_bytes(path.read_bytes() + b"\0")
    assert "date=2014-01-02/measurements.parquet has changed since the snapshot was taken" in unreadable(few)
    path.unlink()
    assert "date=2014-01-02/measurements.parquet is in the snapshot, but not in" in unreadable(few)
    few.manifest.write_text("[]")
    assert "names no validated partition" in unreadable(few)


@pytest.mark.slow
def test_a_year_beats_the_power_curve_on_the_next(tmp_path):
    """Trained on all of 2014 but its hold-out, measured on all of 2015, where the plain power curve has 90.5 kW."""
    import numpy as np
    import onnxruntime

    year = Job(tmp_path / "2014", Window(date(2014, 1, 1), date(2014, 12, 31))).prepare()
    done = year.run()
    assert done.returncode == 0, done.stdout + done.stderr
    Job(tmp_path / "2015", Window(date(2015, 1, 1), date(2015, 12, 31))).prepare()
    tables = [pq.ParquetFile(path).read() for path in sorted((tmp_path / "2015" / "validated").rglob("*.parquet"))]
    rows = pa.concat_tables(tables)
    contract = Contract.read((year.out / "contract.json").read_text())
    turbine = pc.index_in(rows["turbine"], pa.array(contract.inputs[0].values)).to_numpy().astype(np.float32)
    tensor = np.column_stack([turbine, *(rows[column.name].to_numpy().astype(np.float32) for column in contract.inputs[1:])])
    session = onnxruntime.InferenceSession((year.out / "model.onnx").read_bytes())
    said = session.run([contract.tensor.output], {contract.tensor.input: tensor})[0].reshape(-1)
    assert len(said) > 200_000
    assert np.sqrt(((said - rows["power_kw"].to_numpy()) ** 2).mean()) < 87
