"""The outboxes of one folder: one's own, those that dead processes left, and, to look into, those of other live ones."""

import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from include.scoring.outbox import Counts, Outbox, OutboxError, siblings, take

log = logging.getLogger(__name__)


class Outboxes:
    """Own outbox first. An adopted one stays held: its events are counted here, and by nobody else."""

    def __init__(self, path: Path, largest: int) -> None:
        self._path = path
        self._largest = largest
        self._lock = threading.Lock()
        self.own = take(path, largest)
        self._held = [self.own]
        self.adopt()

    @property
    def held(self) -> list[Outbox]:
        """Own and adopted outboxes."""
        with self._lock:
            return [*self._held]

    def adopt(self) -> None:
        """Take over what processes that are no more have left in the folder."""
        for path in siblings(self._path):
            if path in {outbox.path for outbox in self.held}:
                continue
            try:
                orphan = Outbox(path, self._largest)
            except OutboxError:
                continue  # its process is alive, or it cannot be read now: looked at again later
            log.warning("adopted the outbox %s with %d events to ship", path, orphan.counts().pending)
            with self._lock:
                self._held.append(orphan)

    def counts(self) -> Counts:
        """Over all that are held here."""
        return sum((outbox.counts() for outbox in self.held), Counts(0, 0))

    def find(self, event_id: str) -> bytes | None:
        """An event of any scorer of this folder, as JSON: a person's answer may come to another pod than the question."""
        for outbox in self.held:
            found = outbox.find(event_id)
            if found:
                return found
        held = {outbox.path for outbox in self.held}
        return next((found for path in siblings(self._path) if path not in held and (found := _look(path, event_id))), None)

    def close(self) -> None:
        """Give all files up."""
        for outbox in self.held:
            outbox.close()


def _look(path: Path, event_id: str) -> bytes | None:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)) as db:
            found = db.execute("select body from events where id = ?", (event_id,)).fetchone()
    except sqlite3.Error as error:
        log.warning("the outbox %s of another scorer cannot be read: %s", path, error)
        return None
    return bytes(found[0]) if found else None
