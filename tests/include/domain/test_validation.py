import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.validation import WITHHELD, Reason, Tally, split


def test_bad_rows_are_parted_from_the_rest():
    found = split({1: ["missing:power_kw"], 3: ["off_grid", "duplicate", "off_grid"]}, rows=5, largest_bad_share=0.5)
    assert found.good == (0, 2, 4)
    assert found.quarantined == {1: ("missing:power_kw",), 3: ("duplicate", "off_grid")}
    assert not found.withheld
    assert found.counts == {"duplicate": 1, "missing:power_kw": 1, "off_grid": 1}


def test_the_threshold_itself_is_still_good():
    assert not split({0: ["duplicate"]}, rows=2, largest_bad_share=0.5).withheld
    assert split({0: ["duplicate"]}, rows=2, largest_bad_share=0.49).withheld


def test_a_withheld_partition_keeps_nothing_back_from_quarantine():
    found = split({0: ["duplicate"], 1: ["duplicate"]}, rows=3, largest_bad_share=0.5)
    assert found.good == ()
    assert found.quarantined == {0: ("duplicate",), 1: ("duplicate",), 2: (WITHHELD,)}


def test_no_rows_are_not_good_news():
    assert split({}, rows=0, largest_bad_share=1.0).withheld


def test_a_row_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="row 3 is reported as bad, but the partition has 3 rows"):
        split({3: ["missing"]}, rows=3, largest_bad_share=1.0)


@given(
    rows=st.integers(1, 60),
    bad=st.dictionaries(st.integers(0, 59), st.lists(st.sampled_from(["missing:a", "duplicate"]), min_size=1)),
    share=st.floats(0, 1),
)
def test_every_row_goes_exactly_one_way(rows, bad, share):
    bad = {row: reasons for row, reasons in bad.items() if row < rows}
    found = split(bad, rows, share)
    assert sorted([*found.good, *found.quarantined]) == list(range(rows))
    assert all(found.quarantined.values())
    assert found.withheld == (len(bad) / rows > share)
    assert not found.withheld or not found.good
    assert set(bad) <= set(found.quarantined)


def test_a_reason_names_its_column():
    assert Reason.OUT_OF_RANGE.of("temperature_c") == "out_of_range:temperature_c"
    assert Reason.DUPLICATE.of(None) == "duplicate"


def test_tallies_of_one_check_add_up():
    assert Tally("e", "r", 10, 2, 1) + Tally("e", "r", 5, 1) == Tally("e", "r", 15, 3, 1)
    with pytest.raises(ValueError, match="are two checks"):
        Tally("e", "r", 1, 1) + Tally("f", "r", 1, 1)
