"""A window is the days that one run handles; its name is its partition key."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.windows import LONGEST, Window, WindowError

TODAY = date(2026, 11, 30)
DAYS = st.dates(date(2000, 1, 1), date(2040, 1, 1))


@given(DAYS, st.integers(0, LONGEST - 1))
def test_the_name_says_it_all(first, length):
    window = Window(first, first + timedelta(days=length))
    assert Window.parse(str(window)) == window
    days = list(window.days())
    assert len(days) == len(window) == length + 1
    assert days[0] == window.first
    assert days[-1] == window.last
    assert all(day in window for day in days)


def test_a_day_is_a_window():
    assert Window.parse("2014-01-01") == Window(date(2014, 1, 1), date(2014, 1, 1))


@pytest.mark.parametrize(
    ("start", "end", "key", "said"),
    [
        ("2014-02-01", "2014-01-01", None, "swap First day and Last day"),
        ("2014-01-01", "2020-01-01", None, "split it"),
        ("2026-11-30", None, None, "is not over yet.*the last day can be 2026-11-29"),
        ("2026-01-01", "2027-01-01", None, "is not over yet"),
        (None, "2014-01-01", None, "enter both"),
        (None, None, None, "enter First day, or give the run a partition key"),
        (None, None, "last week", "write <first day>..<last day>"),
    ],
)
def test_what_the_form_lets_through_is_told_in_a_sentence(start, end, key, said):
    with pytest.raises(WindowError, match=said):
        Window.asked(start, end, key, TODAY)


def test_the_form_comes_before_the_key():
    assert str(Window.asked("2014-01-01", None, "2015-01-01", TODAY)) == "2014-01-01..2014-01-01"
    assert str(Window.asked(None, None, "2015-01-01", TODAY)) == "2015-01-01..2015-01-01"
