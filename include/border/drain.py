"""Drain a queue into compliant storage: every event exactly once, whatever is killed, sent twice or drained by two at once.

The order is what makes it safe: poison, file, commit, delete. Until the commit, nothing has happened that counts, and the messages
come back; after it, the ids in the log tell what comes back from what is new.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient

from include.border.lease import Lease
from include.border.messages import CLOCKS_DIFFER, Poison, Received, decode, now
from include.border.rows import to_parquet
from include.border.store import Commit, File, Log, write_file
from include.domain.border import Outcome, Policy, apply
from include.domain.events import Event, made_at

ROUND = 8 * 32
"""Messages that are settled by one commit."""
VISIBILITY = 120
"""Seconds that a received message is hidden from others; renewed while it is worked on."""
RETENTION = timedelta(days=7)
"""How long a queue keeps a message unless told otherwise: what has no time of its own is looked for so far back."""
FOR_EVER = -1


@dataclass
class Report:
    """What was done, by event: received = stored + refused + poisoned + duplicates."""

    received: int = 0
    stored: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    poisoned: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Fields that did not pass, by name."""
    files: list[str] = field(default_factory=list)
    sequence: int = -1
    """Of the last commit; -1 without one."""

    def __add__(self, other: "Report") -> "Report":
        return Report(
            self.received + other.received,
            self.stored + other.stored,
            self.refused + other.refused,
            self.poisoned + other.poisoned,
            self.duplicates + other.duplicates,
            self.dropped + other.dropped,
            self.files + other.files,
            max(self.sequence, other.sequence),
        )


@dataclass(frozen=True)
class Border:
    """Where one site's events go, and by which policy."""

    poison: QueueClient
    container: ContainerClient
    policy: Policy
    workload: str
    site: str
    pseudonym_key: bytes = field(repr=False)

    def settle(self, messages: Sequence[Received], log: Log) -> Report:
        """Store, refuse or poison every event of the messages. When this returns, the messages can be deleted."""
        found = [thing for message in messages for thing in decode(message, workload=self.workload, site=self.site)]
        events = {event.id: event for event in reversed(found) if isinstance(event, Event)}
        log.read_back_to(_earliest(found) - 2 * CLOCKS_DIFFER)
        self._poison_new(found, log)
        while True:
            attempt = _Attempt.of(self, found, events, log)
            if attempt.is_empty or log.append(attempt.write()):
                attempt.report.sequence = -1 if attempt.is_empty else log.next - 1
                return attempt.report
            log.catch_up()

    def _poison_new(self, found: Iterable[Event | Poison], log: Log) -> None:
        """Before the commit: a crash in between puts the same event there twice, with the same id, but never loses it."""
        for key, poison in {thing.key: thing for thing in found if isinstance(thing, Poison)}.items():
            if key not in log.poisoned:
                self.poison.send_message(poison.to_message(now()), time_to_live=FOR_EVER)


def _earliest(found: Iterable[Event | Poison]) -> datetime:
    """When the oldest of these was made: a commit before that can say nothing about them."""
    return min((made_at(thing.id) if isinstance(thing, Event) else now() - RETENTION for thing in found), default=now())


@dataclass
class _Attempt:
    """One try to commit: what of a round is new, as far as the log is known."""

    border: Border
    outcomes: dict[str, Outcome]
    poison: dict[str, str]
    report: Report

    @classmethod
    def of(cls, border: Border, found: Sequence[Event | Poison], events: dict[str, Event], log: Log) -> "_Attempt":
        fresh = {key: event for key, event in events.items() if key not in log.settled}
        outcomes = {key: apply(border.policy, event, border.pseudonym_key) for key, event in sorted(fresh.items())}
        poison = {thing.key: thing.reason for thing in found if isinstance(thing, Poison) and thing.key not in log.poisoned}
        dropped: Counter[str] = Counter()
        for outcome in outcomes.values():
            dropped.update(outcome.dropped)
        report = Report(
            received=len(found),
            stored=sum(outcome.row is not None for outcome in outcomes.values()),
            refused=Counter(outcome.refused for outcome in outcomes.values() if outcome.refused),
            poisoned=Counter(poison.values()),
            duplicates=len(found) - len(outcomes) - len(poison),
            dropped=dropped,
        )
        return cls(border, outcomes, poison, report)

    @property
    def is_empty(self) -> bool:
        return not self.outcomes and not self.poison

    def write(self) -> Commit:
        """Write the file, if there are rows, and say what is to be committed."""
        border, drain = self.border, str(uuid4())
        rows = [outcome.row for outcome in self.outcomes.values() if outcome.row is not None]
        files = []
        if rows:
            data = to_parquet(rows, border.policy)
            files.append(File(write_file(border.container, border.workload, border.site, now().date(), drain, data), len(rows)))
        self.report.files = [file.name for file in files]
        return Commit(drain, tuple(files), tuple(self.outcomes), dict(self.report.refused), self.poison, border.policy.digest)


def drain(
    queue: QueueClient,
    poison: QueueClient,
    container: ContainerClient,
    policy: Policy,
    *,
    workload: str,
    site: str,
    pseudonym_key: bytes,
    deadline: float,
    first: Sequence[Received] = (),
) -> Report:
    """Settle messages until the queue shows no more, or `deadline` (seconds since the epoch) has passed.

    `first`: messages that somebody else has received, and deletes when this returns.
    """
    border = Border(poison, container, policy, workload, site, pseudonym_key)
    log = Log.open(container, workload, site)
    report = border.settle(first, log) if first else Report()
    while time.time() < deadline:
        with Lease(queue, ROUND, VISIBILITY) as lease:
            if not lease.received:
                break
            log.catch_up()
            report += border.settle(lease.received, log)
            lease.delete()
    return report
