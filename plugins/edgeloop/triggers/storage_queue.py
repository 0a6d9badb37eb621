"""Says when there is something in a site's queue. Reads no message."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from edgeloop.hooks.storage import StorageHook

LONGEST_WAIT = 300.0
"""Seconds between looks while the queue cannot be reached."""


class QueueNotEmptyTrigger(BaseEventTrigger):
    """One event when the queue is first seen with messages, then none for `quiet` seconds, however many there are.

    The event says that there is work, not how much: who gets it looks at the queue. A lost event is made up for by the next.
    Messages that another drain holds are invisible and make no event.
    """

    def __init__(self, storage_conn_id: str, queue: str, poll: float = 2.0, quiet: float = 15.0) -> None:
        super().__init__()
        self.storage_conn_id = storage_conn_id
        self.queue = queue
        self.poll = poll
        self.quiet = quiet

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Everything that another triggerer needs to go on."""
        said = {"storage_conn_id": self.storage_conn_id, "queue": self.queue, "poll": self.poll, "quiet": self.quiet}
        return f"{type(self).__module__}.{type(self).__qualname__}", said

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look every `poll` seconds; an error doubles the wait and never ends the watching."""
        wait, last = self.poll, -self.quiet
        while True:
            try:
                seen = await asyncio.to_thread(self._look)
                wait = self.poll
            except Exception as error:
                seen = False
                wait = min(wait * 2, LONGEST_WAIT)
                self.log.warning("queue %s of %s cannot be seen, next look in %.0f s: %s", self.queue, self.storage_conn_id, wait, error)
            if seen and time.monotonic() - last >= self.quiet:
                last = time.monotonic()
                yield TriggerEvent({"storage_conn_id": self.storage_conn_id, "queue": self.queue})
            await asyncio.sleep(wait)

    def _look(self) -> bool:
        """Whether a message is visible. The hook is asked anew each time: a Connection may be corrected while we watch."""
        client = StorageHook(self.storage_conn_id).queue(self.queue)
        with client:
            return bool(client.peek_messages(max_messages=1))
