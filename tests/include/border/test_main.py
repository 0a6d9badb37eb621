"""The border from a shell."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "include.border", *arguments],
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def environment(site: Any) -> dict[str, str]:
    lake, account = sorted(site.accounts, key=lambda name: name != "edgeloopcloud")
    return {
        "EDGELOOP_WORKLOAD": site.workload,
        "EDGELOOP_SITE": "north",
        "EDGELOOP_QUEUE_ENDPOINT": site.queue_url,
        "EDGELOOP_STORAGE_ACCOUNT": account,
        "EDGELOOP_STORAGE_KEY": site.accounts[account],
        "EDGELOOP_LAKE_ENDPOINT": site.blob_url,
        "EDGELOOP_LAKE_ACCOUNT": lake,
        "EDGELOOP_LAKE_KEY": site.accounts[lake],
        "EDGELOOP_CA_PEM": Path(site.ca).read_text(),
    }


def test_replay(site: Any, environment: dict[str, str]) -> None:
    event = site.event(type="edgeloop.other")
    site.send(event)
    site.drain()
    done = run("replay", "--reason", "type", **environment)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"put_back": 1, "kept": 0}), done.stderr
    assert (site.left(), site.poisoned()) == (1, [])


def test_a_missing_setting_is_named(site: Any, environment: dict[str, str]) -> None:
    del environment["EDGELOOP_STORAGE_KEY"]
    done = run("replay", **environment)
    assert (done.returncode, done.stderr.strip()) == (1, "the environment lacks EDGELOOP_STORAGE_KEY")
