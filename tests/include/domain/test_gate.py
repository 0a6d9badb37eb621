import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.gate import Decision, Score, gate
from include.domain.workload import Gates

GATES = Gates(
    largest_rmse=150.0,
    smallest_baseline_gain=0.5,
    smallest_gain=0.2,
    largest_slice_loss=3.0,
    parity_tolerance=0.5,
    label_flip_budget=0,
    smallest_holdout=1000,
)
CHAMPION = Score(5000, 90.0, {"site north": 92.0, "site south": 88.0})


def test_without_a_champion_the_limit_counts():
    assert gate(Score(5000, 150.0, baseline=160.0), None, GATES).decision is Decision.ACCEPTED
    refused = gate(Score(5000, 150.1, baseline=160.0), None, GATES)
    assert refused.decision is Decision.REFUSED
    assert refused.reasons == ("RMSE 150.10 is above 150, and there is no champion to compare with",)


def test_without_a_champion_the_baseline_must_be_beaten():
    accepted = gate(Score(5000, 90.0, baseline=90.5), None, GATES)
    assert (accepted.decision, accepted.reasons) == (Decision.ACCEPTED, ("RMSE 90.00, the baseline's is 90.50",))
    refused = gate(Score(5000, 90.0, baseline=90.4), None, GATES)
    assert refused.decision is Decision.REFUSED
    assert refused.reasons == ("RMSE 90.00 against the baseline's 90.40: a gain of 0.5 is asked for",)


def test_with_a_champion_the_baseline_is_not_asked():
    assert gate(Score(5000, 89.8, CHAMPION.slices), CHAMPION, GATES).decision is Decision.ACCEPTED


def test_a_better_challenger_is_accepted():
    found = gate(Score(5000, 89.8, {"site north": 94.9, "site south": 84.0}), CHAMPION, GATES)
    assert found.decision is Decision.ACCEPTED
    assert found.reasons == ("RMSE 89.80, the champion's is 90.00",)


def test_no_gain_is_refused():
    found = gate(Score(5000, 89.9, CHAMPION.slices), CHAMPION, GATES)
    assert found.reasons == ("RMSE 89.90 against the champion's 90.00: a gain of 0.2 is asked for",)


def test_a_slice_may_not_pay_for_the_rest():
    found = gate(Score(5000, 80.0, {"site north": 95.1, "site south": 60.0}), CHAMPION, GATES)
    assert found.decision is Decision.REFUSED
    assert found.reasons == ("site north: 95.10 against 92.00, a loss of at most 3 is allowed",)
    assert gate(Score(5000, 80.0, {"site south": 60.0}), CHAMPION, GATES).reasons == ("site north was not measured for the challenger",)


@pytest.mark.parametrize(
    ("challenger", "champion", "reason"),
    [
        (Score(5000, 10.0), None, "the baseline has no error on all rows, and there is no champion to compare with"),
        (Score(999, 10.0), None, "the hold-out has 999 rows, 1000 are needed"),
        (Score(5000, math.nan), None, "the challenger has no error on all rows"),
        (Score(5000, 10.0, {"site north": math.nan}), None, "the challenger has no error on site north"),
        (Score(5000, 10.0), Score(5000, math.nan), "the champion has no error on all rows"),
        (Score(5000, 10.0), Score(4000, 90.0), "the champion was measured on 4000 rows, the challenger on 5000"),
    ],
)
def test_too_little_decides_nothing(challenger, champion, reason):
    found = gate(challenger, champion, GATES)
    assert found.decision is Decision.INCONCLUSIVE
    assert reason in found.reasons


ERRORS = st.floats(0, 200) | st.just(math.nan)
SLICES = st.dictionaries(st.sampled_from(["site north", "site south", "turbine R80711"]), ERRORS)


@given(st.integers(0, 3000), ERRORS, SLICES, ERRORS, st.none() | st.tuples(ERRORS, SLICES))
def test_nothing_is_accepted_without_proof(rows, rmse, slices, baseline, champion):
    challenger = Score(rows, rmse, slices, baseline)
    against = Score(rows, *champion) if champion else None
    found = gate(challenger, against, GATES)
    assert found.reasons
    if found.decision is Decision.ACCEPTED:
        assert rows >= GATES.smallest_holdout
        if against is None:
            assert rmse <= GATES.largest_rmse
            assert baseline - rmse >= GATES.smallest_baseline_gain
        else:
            assert against.rmse - rmse >= GATES.smallest_gain
            assert all(slices[name] - error <= GATES.largest_slice_loss for name, error in against.slices.items())


@given(st.floats(0, 200), SLICES)
def test_no_model_beats_itself(rmse, slices):
    same = Score(5000, rmse, slices)
    assert gate(same, same, GATES).decision is not Decision.ACCEPTED
