"""A workload file is read once, and what is wrong in it is named."""

from datetime import date
from typing import Any

import pytest
import yaml

from include.domain import naming
from include.domain.workload import Workload, WorkloadError
from include.workloads import folder, load, load_all


def raw() -> dict[str, Any]:
    return dict(yaml.safe_load((folder("wind_power") / "workload.yaml").read_text(encoding="utf-8")))


def test_every_workload_of_the_checkout_can_be_read():
    assert [w.name for w in load_all()] == ["wind_power"]
    assert [c.name for c in load("wind_power").features][:2] == ["turbine", "wind_speed_ms"]


@pytest.mark.parametrize("key", ["title", "owner", "schema", "sites", "gates", "retraining", "target"])
def test_a_missing_key_is_named(key):
    said = raw()
    del said[key]
    with pytest.raises(WorkloadError, match=rf"wind_power.*lacks '{key}'"):
        Workload.read("wind_power", said)


def test_an_unknown_gate_is_named():
    said = raw()
    said["gates"]["luck"] = 1
    with pytest.raises(WorkloadError, match="luck"):
        Workload.read("wind_power", said)


def test_the_target_must_be_a_column():
    with pytest.raises(WorkloadError, match="no column 'torque'; it has turbine"):
        Workload.read("wind_power", {**raw(), "target": "torque"})


def test_partitions_have_one_name():
    day = date(2014, 1, 2)
    blob = naming.partition("wind_power", "raw", "north", day, "measurements.parquet")
    assert blob == "wind_power/raw/site=north/date=2014-01-02/measurements.parquet"
    assert naming.partition_of(blob) == ("north", day)
    with pytest.raises(ValueError, match="is not the name of a partition"):
        naming.partition_of("wind_power/ledger/x.json")
