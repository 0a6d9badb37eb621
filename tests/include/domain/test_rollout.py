import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.rollout import LATENCY_FLOOR_MS, Evidence, FreezeError, Limits, Replay, Verdict, frozen_until, judge

LIMITS = Limits(tolerance=0.5, agreement_within=250, smallest_agreement=0.9, largest_error_share=0.0, largest_latency_ratio=5)
REPLAY = Replay(rows=100, failed_rows=0, agreeing_rows=95, canary_ms=30, champion_ms=10)
GOOD = Evidence("m", "m", "r", "r", golden_rows=50, golden_failed=0, golden_worst=1e-4, golden_error=None, has_champion=True, replay=REPLAY)
ORDER = [Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.SUCCESSFUL]


def test_a_good_canary_has_no_remarks() -> None:
    judged = judge(GOOD, LIMITS)
    assert (judged.verdict, judged.reasons) == (Verdict.SUCCESSFUL, ())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"served_model": "other"}, "model other answers, the release holds m"),
        ({"served_release": "old"}, "release old answers, r was asked for"),
        ({"golden_worst": 0.6}, "a golden row is off by 0.6, allowed is 0.5"),
        ({"golden_worst": math.nan}, "a golden row is off by nan, allowed is 0.5"),
        ({"golden_failed": 2, "golden_error": "422 turbine"}, "2 of 50 golden rows got no answer: 422 turbine"),
        ({"replay": replace(REPLAY, failed_rows=1)}, "1 of 100 recorded rows got no answer"),
        ({"replay": replace(REPLAY, agreeing_rows=89)}, "canary and champion agree on 89.0% of 100 recorded rows, needed are 90.0%"),
        ({"replay": replace(REPLAY, canary_ms=51)}, "the canary answers in 51 ms (95th percentile), the champion in 10 ms"),
    ],
)
def test_what_is_wrong_is_failed_and_named(change: dict, reason: str) -> None:
    judged = judge(replace(GOOD, **change), LIMITS)
    assert (judged.verdict, judged.reasons) == (Verdict.FAILED, (reason,))


def test_a_silent_canary_is_failed() -> None:
    """It answered no golden row: nobody knows the model, but it is no scorer."""
    silent = replace(GOOD, served_model=None, served_release=None, golden_failed=50, golden_worst=math.nan, golden_error="no Service")
    assert judge(silent, LIMITS).reasons == ("50 of 50 golden rows got no answer: no Service",)


def test_without_golden_rows_nothing_is_known() -> None:
    judged = judge(replace(GOOD, golden_rows=0, golden_worst=math.nan), LIMITS)
    assert judged.verdict == Verdict.INCONCLUSIVE
    assert "no golden row was compared" in judged.reasons[0]


@pytest.mark.parametrize(
    ("replay", "remark"),
    [(None, "the champion does not answer"), (Replay(0, 0, 0, math.nan, math.nan), "the champion has no recorded requests")],
)
def test_a_champion_that_tells_nothing_is_remarked(replay: Replay | None, remark: str) -> None:
    judged = judge(replace(GOOD, replay=replay), LIMITS)
    assert judged.verdict == Verdict.SUCCESSFUL
    assert judged.reasons[0].startswith(remark)


def test_the_first_release_of_a_site_has_no_champion_to_miss() -> None:
    assert judge(replace(GOOD, has_champion=False, replay=None), LIMITS).reasons == ()


def test_two_fast_answers_are_equally_good() -> None:
    fast = replace(REPLAY, canary_ms=LATENCY_FLOOR_MS, champion_ms=0.5)
    assert judge(replace(GOOD, replay=fast), LIMITS).verdict == Verdict.SUCCESSFUL


replays = st.builds(
    lambda rows, failed, agreeing, canary, champion: Replay(
        rows, min(failed, rows), min(agreeing, rows - min(failed, rows)), canary, champion
    ),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(0, 20),
    st.floats(0, 1000) | st.just(math.nan),
    st.floats(0, 1000) | st.just(math.nan),
)
evidences = st.builds(
    lambda rows, failed, **more: Evidence(
        "m", golden_rows=rows, golden_failed=min(failed, rows), golden_error=None, expected_release="r", **more
    ),
    st.integers(0, 5),
    st.integers(0, 5),
    served_model=st.sampled_from(["m", "x", None]),
    served_release=st.sampled_from(["r", "x", None]),
    golden_worst=st.floats(0, 1) | st.just(math.nan),
    has_champion=st.booleans(),
    replay=st.none() | replays,
)


@given(evidences)
def test_success_needs_golden_rows_that_agree_and_the_right_model(seen: Evidence) -> None:
    if judge(seen, LIMITS).verdict == Verdict.SUCCESSFUL:
        assert seen.golden_rows > 0
        assert seen.golden_failed == 0
        assert seen.golden_worst <= LIMITS.tolerance
        assert (seen.served_model, seen.served_release) == ("m", "r")


@given(evidences)
def test_a_verdict_that_is_no_success_has_a_reason(seen: Evidence) -> None:
    judged = judge(seen, LIMITS)
    assert judged.verdict == Verdict.SUCCESSFUL or judged.reasons


WORSE = {
    "more golden rows fail": lambda e: replace(e, golden_failed=min(e.golden_rows, e.golden_failed + 1)),
    "no golden row is left": lambda e: replace(e, golden_rows=0, golden_failed=0, golden_worst=math.nan) if e.golden_failed == 0 else e,
    "the difference grows": lambda e: replace(e, golden_worst=e.golden_worst + 0.3),
    "nothing was compared": lambda e: replace(e, golden_worst=math.nan) if e.golden_rows else e,
    "another model answers": lambda e: replace(e, served_model="y"),
    "fewer rows agree": lambda e: replace(e, replay=e.replay and replace(e.replay, agreeing_rows=max(0, e.replay.agreeing_rows - 1))),
    "the canary is slower": lambda e: replace(e, replay=e.replay and replace(e.replay, canary_ms=e.replay.canary_ms * 2)),
}


@pytest.mark.parametrize("worse", [name for name in WORSE if name != "no golden row is left"])
@given(seen=evidences)
def test_worse_evidence_never_gives_a_better_verdict(worse: str, seen: Evidence) -> None:
    before, after = judge(seen, LIMITS).verdict, judge(WORSE[worse](seen), LIMITS).verdict
    assert ORDER.index(after) <= ORDER.index(before), worse


@given(evidences)
def test_losing_the_golden_rows_never_makes_a_success(seen: Evidence) -> None:
    assert judge(WORSE["no golden row is left"](seen), LIMITS).verdict != Verdict.SUCCESSFUL or seen.golden_failed


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-01T{clock}:00+00:00")


@pytest.mark.parametrize(
    ("clock", "until"),
    [("21:59", None), ("22:00", "05:30"), ("23:59", "05:30"), ("00:00", "05:30"), ("05:29", "05:30"), ("05:30", None), ("12:00", None)],
)
def test_a_window_over_midnight(clock: str, until: str | None) -> None:
    assert frozen_until(at(clock), ("22:00-05:30",)) == until


@pytest.mark.parametrize(("clock", "until"), [("07:59", None), ("08:00", "10:00"), ("09:59", "10:00"), ("10:00", None), ("13:30", "14:00")])
def test_windows_of_a_day(clock: str, until: str | None) -> None:
    assert frozen_until(at(clock), ("08:00-10:00", "13:00-14:00")) == until


@given(st.datetimes(timezones=st.just(UTC)))
def test_all_day_is_always_and_no_window_is_never(now: datetime) -> None:
    assert frozen_until(now, ("00:00-24:00",)) == "24:00"
    assert frozen_until(now, ()) is None


@given(st.datetimes(min_value=datetime(2000, 1, 2), timezones=st.just(UTC)), st.integers(0, 1439), st.integers(0, 1439))
def test_a_window_and_the_rest_of_the_day_are_the_whole_day(now: datetime, start: int, end: int) -> None:
    def clock(minute: int) -> str:
        return f"{minute // 60:02d}:{minute % 60:02d}"

    inside = frozen_until(now, (f"{clock(start)}-{clock(end)}",)) is not None
    outside = frozen_until(now, (f"{clock(end)}-{clock(start)}",)) is not None
    assert inside != outside or (start == end and not inside)


def test_the_clock_is_utc_wherever_the_time_was_taken() -> None:
    paris = at("23:30").astimezone(timezone(timedelta(hours=2)))
    assert frozen_until(paris, ("23:00-23:45",)) == "23:45"


@pytest.mark.parametrize("window", ["8-9", "08:00", "25:00-26:00", "08:00-24:30", "", 480])
def test_a_window_that_cannot_be_read_is_an_error(window: str) -> None:
    with pytest.raises(FreezeError, match=r"mend include/sites\.yaml"):
        frozen_until(at("12:00"), (window,))
