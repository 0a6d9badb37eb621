"""A snapshot names the data, whoever asked for it and in whatever order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.snapshot import Part, Snapshot

PARTS = st.dictionaries(st.text(min_size=1), st.text(min_size=1)).map(lambda found: [Part(*item) for item in found.items()])


@given(PARTS, st.randoms())
def test_the_order_does_not_matter(parts, random):
    shuffled = [*parts, *parts]
    random.shuffle(shuffled)
    assert Snapshot.of(shuffled).digest == Snapshot.of(parts).digest


@given(PARTS)
def test_it_can_be_read_back(parts):
    taken = Snapshot.of(parts)
    assert Snapshot.from_json(taken.to_json()) == taken


@given(PARTS.filter(bool), st.text(min_size=1))
def test_other_content_is_another_snapshot(parts, content):
    changed = [Part(parts[0].blob, parts[0].content_hash + content), *parts[1:]]
    assert Snapshot.of(changed).digest != Snapshot.of(parts).digest


def test_a_blob_that_changed_meanwhile_is_an_error():
    with pytest.raises(ValueError, match="changed while the snapshot was taken"):
        Snapshot.of([Part("a", "1"), Part("a", "2")])
