from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.retraining import World, by_events, by_hand, by_schedule, latest
from include.domain.windows import Window
from include.domain.workload import Retraining

RULES = Retraining(schedule="0 3 * * 1", window_days=365, holdout_days=30, feedback_events=20, cool_down_hours=24)
NOW = datetime(2015, 3, 1, 12, tzinfo=UTC)
YEAR = Window(date(2014, 1, 1), date(2014, 12, 31))
WORLD = World(NOW, YEAR, answers=25, last_answers=0, last_request=None, last_window=None)


def test_a_person_always_gets_a_training_and_gives_the_reason() -> None:
    asked = Window(date(2014, 3, 1), date(2014, 6, 1))
    decided = by_hand(replace(WORLD, last_window=YEAR, last_request=NOW), asked, "new blades", RULES)
    assert (decided.window, decided.reason) == (asked, "new blades")
    assert by_hand(WORLD, None, "by hand", RULES).window == YEAR


def test_a_person_who_asks_for_days_without_data_is_told() -> None:
    decided = by_hand(WORLD, Window(date(2016, 1, 1), date(2016, 2, 1)), "why not", RULES)
    assert decided.window is None
    assert decided.reason.startswith("2016-01-01..2016-02-01 has no validated day, they are 2014-01-01..2014-12-31")


@pytest.mark.parametrize("decide", [by_schedule, by_events, lambda world, rules: by_hand(world, None, "x", rules)])
def test_without_validated_data_nothing_is_trained(decide) -> None:
    decided = decide(replace(WORLD, newest=None), RULES)
    assert decided.window is None
    assert "no validated partition" in decided.reason


def test_the_clock_trains_on_what_is_new() -> None:
    assert by_schedule(WORLD, RULES).reason == "schedule: new validated days and 25 answers"
    assert by_schedule(replace(WORLD, last_window=YEAR), RULES).reason == "schedule: 25 answers"
    assert by_schedule(replace(WORLD, last_answers=25), RULES).reason == "schedule: new validated days"


def test_the_clock_does_not_train_the_same_model_again() -> None:
    decided = by_schedule(replace(WORLD, last_window=YEAR, last_answers=25), RULES)
    assert (decided.window, decided.reason) == (None, "nothing new since the last request, which trained on 2014-01-01..2014-12-31")


def test_enough_answers_start_a_training() -> None:
    assert by_events(replace(WORLD, last_answers=5), RULES).reason == "feedback: 20 answers"
    decided = by_events(replace(WORLD, last_answers=6), RULES)
    assert (decided.window, decided.reason) == (None, "19 answers since the last request, 20 start a training")


def test_answers_wait_for_the_end_of_the_cool_down() -> None:
    hot = replace(WORLD, last_request=NOW - timedelta(hours=23, minutes=59))
    assert by_events(hot, RULES).reason == "25 answers wait for the end of the cool-down of 24 h"
    assert by_events(replace(WORLD, last_request=NOW - timedelta(hours=24)), RULES).window == YEAR


def test_answers_that_were_deleted_are_no_negative_news() -> None:
    assert replace(WORLD, answers=3, last_answers=10).feedback == 0


windows = st.builds(
    lambda first, days: Window(first, first + timedelta(days)), st.dates(date(2010, 1, 1), date(2020, 1, 1)), st.integers(0, 900)
)


@given(windows, st.integers(1, 900))
def test_the_latest_window_ends_at_the_newest_day_and_stays_inside(newest: Window, days: int) -> None:
    found = latest(newest, replace(RULES, window_days=days))
    assert found.last == newest.last
    assert found.first in newest
    assert len(found) == min(days, len(newest))


@given(windows, st.integers(0, 100), st.integers(0, 100))
def test_more_answers_never_stop_a_training(newest: Window, answers: int, before: int) -> None:
    world = replace(WORLD, newest=newest, answers=answers, last_answers=before)
    more = replace(world, answers=answers + 1)
    for decide in (by_schedule, by_events):
        assert decide(world, RULES).window is None or decide(more, RULES).window is not None
