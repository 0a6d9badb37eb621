import hashlib
import io
import json
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.domain import naming
from include.domain.snapshot import Snapshot
from include.domain.windows import Window
from tests.training_job import Job

JOB = "wind-power-0001"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    job = Job(tmp_path_factory.mktemp("job"), Window(date(2014, 1, 1), date(2014, 2, 28))).prepare()
    done = job.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return job


@pytest.fixture
def candidate(lake, trained):
    """The job's outputs and its candidate are in the lake; gives the snapshot."""
    return register(lake, trained, JOB)


def register(lake, trained, job, change=lambda name, data: data):
    from edgeloop import ledger

    snapshot = Snapshot.from_json(trained.manifest.read_text()).digest
    for path in trained.out.iterdir():
        lake.write(f"{naming.job_folder('wind_power', job)}/{path.name}", change(path.name, path.read_bytes()))
    contract = json.loads((trained.out / "contract.json").read_text())
    facts = {"job": job, "model_version": job[-4:], "model_digest": contract["model_digest"], "window": str(trained.window)}
    ledger.record("wind_power", snapshot, "candidate", {**facts, "snapshot": snapshot})
    return snapshot


def release(snapshot="sha256:" + "c" * 64, job=JOB):
    from edgeloop import ledger

    digest = "sha256:" + hashlib.sha256(snapshot.encode()).hexdigest()
    facts = {"snapshot": snapshot, "digest": digest, "reference": f"registry/edgeloop/wind-power@{digest}", "job": job}
    ledger.record("wind_power", "champion", "release", facts)
    return digest


def gate_facts(snapshot):
    from edgeloop import ledger

    return ledger.read("wind_power", snapshot, "gate")


def changed_table(data, change):
    sink = io.BytesIO()
    pq.write_table(change(pq.read_table(io.BytesIO(data))), sink)
    return sink.getvalue()


def test_the_exported_model_passes_parity(candidate):
    from edgeloop import ledger
    from edgeloop.stages.evaluate import parity

    found = parity("wind_power", candidate)
    assert found["passed"]
    assert found["rows"] > 200
    assert found["largest_difference"] < 0.01
    assert found["label_flips"] == 0
    assert ledger.read("wind_power", candidate, "parity")["passed"] is True


def test_another_model_is_refused_with_its_reasons(lake, trained):
    from edgeloop import ledger
    from edgeloop.exceptions import Refused
    from edgeloop.stages.evaluate import parity

    def shift(name, data):
        if name != "golden.parquet":
            return data
        return changed_table(data, lambda t: t.set_column(t.column_names.index("expected"), "expected", pa.compute.add(t["expected"], 1.0)))

    snapshot = register(lake, trained, JOB, shift)
    with pytest.raises(Refused, match=r"is not the trained one: ONNX and native model differ by 1, more than 0\.5"):
        parity("wind_power", snapshot)
    assert ledger.read("wind_power", snapshot, "parity")["passed"] is False


def test_a_model_that_is_not_its_contracts_is_an_error(lake, trained):
    from edgeloop.exceptions import UnexpectedReply
    from edgeloop.stages.evaluate import parity

    snapshot = register(lake, trained, JOB, lambda name, data: data + b"\0" if name == "model.onnx" else data)
    with pytest.raises(UnexpectedReply, match="its contract says"):
        parity("wind_power", snapshot)


def with_rmse(rmse, baseline):
    def change(name, data):
        said = {"rmse": rmse, "baseline": {"name": "binned power curve", "rmse": baseline}}
        return json.dumps({**json.loads(data), **said}).encode() if name == "metrics.json" else data

    return change


def test_without_a_champion_baseline_and_limit_decide(lake, trained):
    from edgeloop.stages.evaluate import gate

    snapshot = register(lake, trained, JOB, with_rmse(80.0, 85.0))
    assert gate("wind_power", snapshot)["decision"] == "accepted"
    assert gate_facts(snapshot)["champion"] is None
    register(lake, trained, JOB, with_rmse(180.0, 190.0))
    assert gate("wind_power", snapshot) is None
    assert gate_facts(snapshot)["reasons"] == ["RMSE 180.00 is above 150, and there is no champion to compare with"]
    register(lake, trained, JOB, with_rmse(85.1, 85.0))
    assert gate("wind_power", snapshot) is None
    assert gate_facts(snapshot)["reasons"] == ["RMSE 85.10 against the baseline's 85.00: a gain of 0.5 is asked for"]


def test_the_champion_is_measured_on_the_challengers_hold_out(candidate):
    from edgeloop.stages.evaluate import gate

    digest = release()
    assert gate("wind_power", candidate) is None, "the same model gains nothing"
    facts = gate_facts(candidate)
    assert (facts["decision"], facts["champion"]) == ("refused", digest)
    assert facts["champion_rmse"] == pytest.approx(facts["rmse"], abs=0.01)


def test_a_released_snapshot_is_known(candidate):
    from edgeloop.stages.evaluate import gate

    release(candidate)
    assert gate("wind_power", candidate) is None
    assert gate_facts(candidate) is None, "what was recorded before the release stays"


def test_a_small_hold_out_decides_nothing(lake, trained):
    from edgeloop.stages.evaluate import gate

    def few(name, data):
        said = json.loads(data) if name == "metrics.json" else None
        return json.dumps({**said, "holdout": {**said["holdout"], "rows": 10}}).encode() if said else data

    snapshot = register(lake, trained, JOB, few)
    assert gate("wind_power", snapshot) is None
    assert gate_facts(snapshot)["decision"] == "inconclusive"


def test_no_candidate_says_what_to_run(lake):
    from edgeloop.exceptions import NothingToDo
    from edgeloop.stages.evaluate import parity

    with pytest.raises(NothingToDo, match=r"has no candidate sha256:0: run wind_power\.train for it first"):
        parity("wind_power", "sha256:0")


class TestScoreBatch:
    DAYS = Window(date(2014, 3, 29), date(2014, 3, 30))

    @pytest.fixture
    def validated(self, ingest, candidate):
        from edgeloop.stages.validate import check_site

        ingest(self.DAYS.first, self.DAYS.last)
        return {site: check_site("wind_power", site, self.DAYS) for site in ("north", "south")}

    def test_nothing_is_scored_before_the_first_release(self, validated):
        from edgeloop.exceptions import NothingToDo
        from edgeloop.stages.score_batch import plan

        with pytest.raises(NothingToDo, match="wind_power has no release yet"):
            plan("wind_power", str(self.DAYS))

    def test_every_row_is_scored_and_a_rerun_replaces(self, lake, validated):
        from edgeloop.stages.score_batch import plan, score_site, summary

        digest = release()
        parts = plan("wind_power", str(self.DAYS))
        assert parts == [{"site": site, "window": str(self.DAYS)} for site in ("north", "south")]
        assert plan("wind_power", digest) == parts, "a new release scores the newest window again"
        reports = [score_site("wind_power", part["site"], part["window"]) for part in parts]
        assert [report["rows"] for report in reports] == [validated[site]["good"] for site in ("north", "south")]
        total = summary("wind_power", reports)
        assert (total["window"], total["partitions"], total["unscored"]) == (str(self.DAYS), 4, 0)
        before = lake.blobs("wind_power/scores/")
        score_site("wind_power", "north", str(self.DAYS))
        assert lake.blobs("wind_power/scores/") == before

    def test_the_residual_is_measured_minus_expected(self, lake, validated, trained):
        from edgeloop.stages.score_batch import score_site

        digest = release()
        score_site("wind_power", "north", self.DAYS)
        rows = lake.read_table(naming.partition("wind_power", "scores", "north", self.DAYS.first, "scores.parquet")).to_pylist()
        below = json.loads((trained.out / "contract.json").read_text())["anomaly"]["below"]
        for row in rows:
            assert row["residual"] == pytest.approx(row["power_kw"] - row["expected"])
            assert row["anomaly"] == (row["residual"] < below)
            assert row["release"] == digest

    def test_scores_of_a_withheld_day_go(self, lake, validated):
        from edgeloop.stages.score_batch import score_site

        release()
        score_site("wind_power", "north", self.DAYS)
        lake.delete(naming.partition("wind_power", "validated", "north", self.DAYS.first, "measurements.parquet"))
        assert score_site("wind_power", "north", self.DAYS)["partitions"] == 1
        assert [naming.partition_of(blob.name)[1] for blob in lake.blobs("wind_power/scores/")] == [self.DAYS.last]
