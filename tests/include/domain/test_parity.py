import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.parity import Answers, parity
from include.domain.workload import Gates

GATES = Gates(
    largest_rmse=94.4, smallest_baseline_gain=0.5, smallest_gain=0.2, largest_slice_loss=3.0, parity_tolerance=0.5, label_flip_budget=1
)


def test_the_same_answers_pass():
    found = parity(Answers([1.0, 2.0], [1.0, 2.1], [math.nan, -99.0], -100.0), GATES)
    assert found.passed
    assert found.rows == 2
    assert found.largest_difference == pytest.approx(0.1)


def test_no_golden_rows_are_not_good_news():
    assert parity(Answers([], [], [], -100.0), GATES).reasons == ("there are no golden rows to compare",)


def test_a_large_difference_is_refused():
    assert parity(Answers([1.0], [1.6], [math.nan], -100.0), GATES).reasons == ("ONNX and native model differ by 0.6, more than 0.5",)


def test_labels_have_a_budget_of_their_own():
    near = Answers([0.0, 0.0], [0.2, 0.2], [-99.9, -99.9], -100.0)
    assert parity(near, GATES).label_flips == 2
    assert parity(near, GATES).reasons == ("2 golden rows change between anomaly and normal, 1 may",)


@pytest.mark.parametrize("silent", [math.nan, math.inf, -math.inf])
def test_an_answer_that_is_no_number_is_refused(silent):
    assert "1 of 2 golden rows have no finite answer" in parity(Answers([1.0, 1.0], [1.0, silent], [0.0, 0.0], -100.0), GATES).reasons


@given(st.lists(st.tuples(st.floats(), st.floats(), st.floats()), max_size=20))
def test_what_passes_is_close_everywhere(rows):
    native, exported, measured = ([*column] for column in zip(*rows, strict=True)) if rows else ([], [], [])
    found = parity(Answers(native, exported, measured, -100.0), GATES)
    close = bool(rows) and all(abs(a - b) <= GATES.parity_tolerance for a, b, _ in rows)
    assert not found.passed or close
