"""What an operator and a trigger ask of a service that runs jobs, and how both wait for one."""

import logging
import random
from collections.abc import Mapping
from typing import Any, Protocol

from edgeloop.hooks.failures import transient
from edgeloop.models import JobState

LOG = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0
"""Seconds between two questions to a service that does not answer."""

FIRST_PAUSE = 0.5
"""Seconds before the first question; then longer and longer, up to the poll interval: a short job is not waited for long."""
GROWTH = 1.3
"""Of the pause, from one answer to the next."""


class RemoteJobs(Protocol):
    """Jobs of one service. A job is found again by its id, whoever asks: the id is derived from the job's inputs.

    Where the service gives its own id, the job id is a key that a query finds again.
    """

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Keyword arguments (JSON) that build the same object in another process, such as the triggerer."""

    def find(self, job_id: str) -> JobState | None:
        """The job, or None when the service has no such job."""

    def start(self, job_id: str) -> None:
        """Start the job unless it is there already."""

    def state(self, job_id: str) -> JobState:
        """The job; UnexpectedReply when the service lost it or says what its protocol does not know."""

    def cancel(self, job_id: str) -> None:
        """Ask the service to stop the job; a job that is over, or that never was, is no error."""


class Watch:
    """Asks how a job stands, and has patience with a service that does not answer.

    `pause` is how long to wait before the next question, in seconds: little at first, then the poll interval; longer after each
    failure in a row.
    """

    def __init__(self, jobs: RemoteJobs, job_id: str, poll_interval: float) -> None:
        self.jobs = jobs
        self.job_id = job_id
        self.poll_interval = poll_interval
        self.failures = 0
        self.pause = min(poll_interval, FIRST_PAUSE)

    def ask(self) -> JobState | None:
        """The job's state; None when the service did not answer this time."""
        try:
            state = self.jobs.state(self.job_id)
        except Exception as error:
            if not transient(error):
                raise
            self.failures += 1
            self.pause = self._longer()
            LOG.warning("no answer about job %s (%d in a row), asking again in %.0f s: %s", self.job_id, self.failures, self.pause, error)
            return None
        self.pause = self.poll_interval if self.failures else min(self.poll_interval, self.pause * GROWTH)
        self.failures = 0
        return state

    def _longer(self) -> float:
        spread = random.uniform(0.8, 1.0)  # noqa: S311 - so that many watches do not ask at once
        return min(LONGEST_PAUSE, max(1.0, self.poll_interval) * 2 ** min(self.failures, 8)) * spread
