"""DAG files say what and when for any workload; names of workloads, sites, columns and endpoints live elsewhere."""

import re
from pathlib import Path

import pytest

from include.settings import sites
from include.workloads import load_all

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "dags").glob("*.py"))
STAGES = {"ingest", "validate", "train", "promote", "roll_out", "roll_back", "score_batch", "drain", "publish", "retrain"}


def test_there_is_a_file_for_each_stage() -> None:
    assert {file.stem for file in FILES} == STAGES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_name_of_a_workload_site_column_or_endpoint(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    names = {w.name for w in load_all()} | set(sites()) | {column.name for w in load_all() for column in w.columns if "_" in column.name}
    found = [name for name in names if re.search(rf"\b{re.escape(name)}\b", text)]
    assert not found, f"{file.name} names {found}"
    assert not re.search(r"https?://|localhost|\d+\.\d+\.\d+\.\d+|windows\.net|azure\.com", text), f"{file.name} names an endpoint"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dag_file_is_a_table_of_contents(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 110, f"{file.name} has {len(lines)} lines: its work belongs into edgeloop.stages"
    assert lines[0].startswith('"""'), f"{file.name} does not begin by saying what it is for"
