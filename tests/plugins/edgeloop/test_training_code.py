"""What is sent to Azure ML."""

import pytest

from edgeloop.training_code import TrainingCode


def test_it_is_what_training_needs_and_no_sample():
    code = TrainingCode.of("wind_power")
    assert {"include/training/__init__.py", "include/domain/windows.py", "include/workloads/__init__.py"} <= code.files.keys()
    assert "include/workloads/wind_power/workload.yaml" in code.files
    assert not [name for name in code.files if "/sample/" in name or name.endswith(".pyc") or "standin" in name]
    assert sum(map(len, code.files.values())) < 1_000_000
    assert any(line.startswith("scikit-learn==") for line in code.requirements)


def test_the_same_files_are_the_same_code(tmp_path):
    code = TrainingCode.of("wind_power")
    assert TrainingCode.of("wind_power").digest == code.digest
    name = "include/domain/windows.py"
    assert TrainingCode(code.workload, {**code.files, name: b"other"}).digest != code.digest
    assert (code.write(tmp_path / "code") / name).read_bytes() == code.files[name]


def test_a_workload_that_is_not_there():
    with pytest.raises(FileNotFoundError, match=r"nothing/requirements.txt is missing"):
        TrainingCode.of("nothing")
