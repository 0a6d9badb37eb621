"""Node ports by the thousand: which are given unasked, and what happens at the end of the range."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.standin.kubernetes import kinds
from include.standin.kubernetes.allocation import NODE_PORTS, ON_REQUEST, Allocator
from include.standin.kubernetes.exceptions import InternalError
from include.standin.kubernetes.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path / "objects.sqlite")
    yield found
    found.close()


def service(count: int) -> dict[str, Any]:
    meta = {"name": f"s{count}", "namespace": "default", "uid": str(uuid.uuid4())}
    return {"metadata": meta, "spec": {"type": "NodePort", "ports": [{"port": number} for number in range(1, count + 1)]}}


def test_the_first_are_kept_for_those_who_ask_until_no_other_is_left(store: Store) -> None:
    allocator = Allocator(store, "127.61")
    many, more, last = service(len(NODE_PORTS) - len(ON_REQUEST)), service(len(ON_REQUEST)), service(1)
    for found in (many, more):
        allocator.allocate(found)
        store.create(kinds.SERVICE, found)
    given, asked = ({port["nodePort"] for port in found["spec"]["ports"]} for found in (many, more))
    assert asked == set(range(30000, 30086))
    assert given == set(range(30086, 32768))
    with pytest.raises(InternalError, match="failed to allocate a nodePort: range is full"):
        allocator.allocate(last)
