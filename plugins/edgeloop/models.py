"""What remote services answer, as typed values. A reply is read in one place, and what its protocol does not allow is an error there."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from edgeloop.exceptions import UnexpectedReply


class JobStatus(StrEnum):
    """How a remote job stands."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"
    """No service says so: the job passed the task's deadline, and the watcher asked the service to cancel it."""

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self is not JobStatus.RUNNING

    @property
    def repeatable(self) -> bool:
        """Whether a retry starts the job again, under the next attempt's number."""
        return self in (JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True)
class JobState:
    """A remote job, as its service tells of it."""

    job_id: str
    status: JobStatus
    error: str | None = None
    """The service's own text, where it failed."""
    service_id: str | None = None
    """The service's own id, where it is not the job id."""
    link: str | None = None
    """Where a person looks at the job."""

    def event(self) -> dict[str, Any]:
        """The state as the payload of a trigger's event."""
        return {**asdict(self), "status": self.status.value}

    @classmethod
    def read_event(cls, event: Mapping[str, Any] | None) -> "JobState":
        """The state that a trigger's event carries; UnexpectedReply when there is none, or it is not the end of a job."""
        if not event:
            raise UnexpectedReply(
                "the trigger came back without an event: whether the job ended is not known. Clear the task: it finds the job again."
            )
        status = str(event.get("status"))
        if status not in JobStatus.__members__:
            job = event.get("job_id", "(no id)")
            why = event.get("error") or f"the event's status is {status!r}, not one of {', '.join(JobStatus)}"
            raise UnexpectedReply(f"job {job} could not be watched: {why}. Clear the task: it finds the job again.")
        state = cls(**{**event, "status": JobStatus(status)})
        if not state.status.over:
            raise UnexpectedReply(f"job {state.job_id} was handed back while it runs. Clear the task: it finds the job again.")
        return state


def job_status(said: object, known: Mapping[str, JobStatus], service: str, job_id: str) -> JobStatus:
    """The service's word for a status in ours; UnexpectedReply names a word that is not known."""
    if isinstance(said, str) and said in known:
        return known[said]
    raise UnexpectedReply(
        f"{service} says that job {job_id} is {said!r}; known are {', '.join(known)}. Look at the job there, then clear the task."
    )
