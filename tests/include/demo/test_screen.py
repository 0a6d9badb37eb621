"""Without a terminal, as in CI, every chapter leaves one line: how it ended, and what it said last."""

import io

import pytest
from rich.console import Console

from include.demo.screen import Screen


def _screen(*titles: str) -> tuple[Screen, io.StringIO]:
    screen, out = Screen([*titles]), io.StringIO()
    screen.console = Console(file=out, width=200)
    return screen, out


def test_a_chapter_says_how_it_ended():
    screen, out = _screen("ingest [and] validate")
    with screen.shown(), screen.chapter("ingest [and] validate") as say:
        say("3 raw")
        say("4 raw")
    assert "ingest [and] validate: done in" in out.getvalue()
    assert "4 raw" in out.getvalue()
    assert "3 raw" not in out.getvalue()


def test_a_chapter_that_fails_is_told_and_the_error_goes_on():
    screen, out = _screen("train")
    with pytest.raises(RuntimeError, match="no rows"), screen.shown(), screen.chapter("train"):
        raise RuntimeError("no rows")
    assert "train: FAILED" in out.getvalue()
