"""Brings events from the outboxes to the queue, in the background and in order; scoring never waits for it."""

import base64
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from include.domain.events import LARGEST_BATCH, message
from include.scoring.outbox import Outbox, OutboxError
from include.scoring.outboxes import Outboxes

log = logging.getLogger(__name__)

LINGER = 0.25
"""Seconds that an event waits for company."""
IDLE = 30.0
"""Seconds between looks for outboxes that others left."""
LONGEST_WAIT = 30.0
"""Seconds between attempts while the link is cut."""

Send = Callable[[str], None]
"""Puts one message into the queue; LinkDown when that failed or may have failed."""


class LinkDown(ConnectionError):
    """The queue did not confirm a message."""


@dataclass
class Health:
    """How the shipping goes, for /metrics."""

    messages: int = 0
    failures: int = 0
    last_success: float = 0.0
    """Seconds since the epoch."""


class Shipper(threading.Thread):
    """Starts with `start()`; `stop(grace)` ships what it can in so many seconds. What is left stays in the outboxes."""

    def __init__(self, outboxes: Outboxes, send: Send) -> None:
        super().__init__(name="shipper", daemon=True)
        self.health = Health()
        self._outboxes = outboxes
        self._send = send
        self._wake = threading.Event()
        self._stopping = threading.Event()

    def wake(self) -> None:
        """There may be something to ship."""
        self._wake.set()

    def stop(self, grace: float) -> None:
        """End within `grace` seconds."""
        self._stopping.set()
        self._wake.set()
        self.join(grace)

    def run(self) -> None:
        """Ship until told to stop; an error of the link or of the disk is waited out, longer each time."""
        wait = 0.0
        while True:
            self._wake.clear()
            try:
                self._ship_all()
                wait = 0.0
            except (LinkDown, OutboxError) as error:
                if wait == 0.0:
                    log.warning("events wait in the outbox: %s", error)
                self.health.failures += 1
                wait = min(max(wait * 2, 0.25), LONGEST_WAIT)
            if self._stopping.is_set():
                return
            if wait:
                self._stopping.wait(wait * random.uniform(0.75, 1.25))  # noqa: S311 spreads attempts, keeps no secret
            else:
                self._rest()

    def _rest(self) -> None:
        """Until there is something to ship, or it is time to look for orphans."""
        if not self._wake.wait(IDLE):
            self._outboxes.adopt()

    def _ship_all(self) -> None:
        for outbox in self._outboxes.held:
            while self._ship(outbox):
                pass

    def _ship(self, outbox: Outbox) -> bool:
        pending = outbox.counts().pending
        if not pending:
            return False
        if pending < LARGEST_BATCH:
            self._stopping.wait(LINGER)
        events = outbox.next_message()
        if not events:
            raise OutboxError(f"the outbox {outbox.path} counts {pending} events to ship and has none of them")
        self._send(base64.b64encode(message(events)).decode())
        outbox.mark_shipped()
        self.health.messages += 1
        self.health.last_success = time.time()
        return True
