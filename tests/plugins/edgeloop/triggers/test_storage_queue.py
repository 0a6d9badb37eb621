"""The trigger that watches a queue: one event, then quiet; never takes a message; lives through errors."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from edgeloop.hooks.storage import StorageHook
from edgeloop.triggers.storage_queue import QueueNotEmptyTrigger

QUEUE = "watched"
CONNECTION = "edgeloop_storage_north"


@pytest.fixture
def queue(storage: Any, connections: Any) -> Iterator[Any]:
    client = StorageHook(CONNECTION).queue(QUEUE)
    client.create_queue()
    yield client
    client.delete_queue()


def trigger(**change: Any) -> QueueNotEmptyTrigger:
    return QueueNotEmptyTrigger(**{"storage_conn_id": CONNECTION, "queue": QUEUE, "poll": 0.05, "quiet": 0.5, **change})


async def within(events: AsyncIterator[Any], seconds: float) -> Any:
    return await asyncio.wait_for(anext(events), seconds)


def test_serialize_carries_everything() -> None:
    path, said = trigger().serialize()
    assert path == "edgeloop.triggers.storage_queue.QueueNotEmptyTrigger"
    assert said == {"storage_conn_id": CONNECTION, "queue": QUEUE, "poll": 0.05, "quiet": 0.5}
    assert QueueNotEmptyTrigger(**said).serialize() == (path, said)


async def test_one_event_then_quiet(queue: Any) -> None:
    watching = trigger(quiet=600).run()
    queue.send_message("one")
    event = await within(watching, 30)
    assert event.payload == {"storage_conn_id": CONNECTION, "queue": QUEUE}
    queue.send_message("two")
    with pytest.raises(TimeoutError):
        await within(watching, 1)
    assert len(queue.peek_messages(max_messages=32)) == 2, "no message was taken"


async def test_after_the_quiet_it_says_so_again(queue: Any) -> None:
    queue.send_message("one")
    watching = trigger(quiet=0.1).run()
    for _ in range(3):
        await within(watching, 30)
    await watching.aclose()


async def test_an_empty_queue_makes_no_event(queue: Any) -> None:
    watching = trigger().run()
    with pytest.raises(TimeoutError):
        await within(watching, 1)


async def test_an_error_does_not_end_the_watching(queue: Any) -> None:
    client = StorageHook(CONNECTION).queue("not-there-yet")
    watching = trigger(queue="not-there-yet").run()
    waiting = asyncio.ensure_future(anext(watching))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    client.create_queue()
    client.send_message("one")
    event = await asyncio.wait_for(waiting, 30)
    assert event.payload["queue"] == "not-there-yet"
    await watching.aclose()
    client.delete_queue()
