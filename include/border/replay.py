"""Put events back from the poison queue, when what made them invalid has been mended."""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from include.border.lease import PAGE
from include.domain.events import LARGEST_MESSAGE, message, to_json

VISIBILITY = 300
"""Seconds that a poison message is hidden while it is looked at."""
FOR_EVER = -1


@dataclass
class Replayed:
    """How many were put back, and how many stay in the poison queue because they are no event, or for another reason than was asked for."""

    put_back: int
    kept: int


def replay(poison: QueueClient, queue: QueueClient, *, reason: str | None = None, limit: int = 1000) -> Replayed:
    """Put back up to `limit` events, of one reason or of all.

    An event that is put back names the poison message it comes from (`replayof`): a crash between send and delete is seen by the drain,
    and an event that is still invalid comes to the poison queue again instead of being taken for a duplicate.
    """
    kept: list[QueueMessage] = []
    put_back = 0
    for found in _each(poison, limit):
        body = _put_back(found, reason)
        if body is None:
            kept.append(found)
            continue
        queue.send_message(base64.b64encode(message([body])).decode(), time_to_live=FOR_EVER)
        with suppress(ResourceNotFoundError):  # another replay was faster: the drain takes the event once
            poison.delete_message(found)
        put_back += 1
    for found in kept:  # only now: shown before, they would be given to us again
        with suppress(HttpResponseError):  # they show themselves in a while
            poison.update_message(found, visibility_timeout=0)
    return Replayed(put_back, len(kept))


def _each(poison: QueueClient, limit: int) -> Iterator[QueueMessage]:
    while limit > 0:
        pages = poison.receive_messages(messages_per_page=min(limit, PAGE), visibility_timeout=VISIBILITY).by_page()
        page = list(next(pages, ()))
        if not page:
            return
        limit -= len(page)
        yield from page


def _put_back(found: QueueMessage, reason: str | None) -> bytes | None:
    """The event as it goes into the queue; None: it stays."""
    try:
        said: Any = json.loads(base64.b64decode(found.content, validate=True))
        event = said["event"]
        if (reason is not None and said["reason"] != reason) or not isinstance(event, dict) or "id" not in event:
            return None
        body = to_json({**event, "replayof": found.id})
    except (ValueError, KeyError, TypeError):
        return None
    return body if len(body) + 2 <= LARGEST_MESSAGE else None
