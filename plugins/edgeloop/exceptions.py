"""What goes wrong at the edge of Airflow.

EdgeloopError
├── ConnectionIncomplete    a Connection lacks something; says what to enter
├── RemoteJobError          a remote run ended badly
│   ├── RemoteJobFailed     it failed by itself
│   ├── RemoteJobCancelled  somebody cancelled it
│   └── RemoteJobTimedOut   it passed its deadline and was cancelled
├── ServiceError            a service refused a request or did not answer; says where to look
├── UnexpectedReply         a service answered what its protocol does not allow (an unknown status, a missing field)
├── NothingToDo             there is no input; says where it was looked for
├── UnusableInput           input is there and cannot be read (not Parquet, a column is missing)
├── CheckCrashed            a check of data failed by itself: nothing is known about the data
└── Refused                 a decision said no: the reason is the message
"""


class EdgeloopError(Exception):
    """Root of what edgeloop raises on purpose."""


class ConnectionIncomplete(EdgeloopError):
    """A Connection lacks something."""

    def __init__(self, conn_id: str, what: str) -> None:
        super().__init__(f"Connection {conn_id} {what}. Enter it under Admin > Connections; docs/connections.md has the table of fields.")


class RemoteJobError(EdgeloopError):
    """A remote run ended badly."""


class RemoteJobFailed(RemoteJobError):
    """A remote run failed by itself."""


class RemoteJobCancelled(RemoteJobError):
    """A remote run was cancelled."""


class RemoteJobTimedOut(RemoteJobError):
    """A remote run passed its deadline and was cancelled."""


class ServiceError(EdgeloopError):
    """A service refused a request or did not answer."""


class UnexpectedReply(EdgeloopError):
    """A service answered what its protocol does not allow."""


class NothingToDo(EdgeloopError):
    """There is no input."""


class UnusableInput(EdgeloopError):
    """Input is there and cannot be read."""


class CheckCrashed(EdgeloopError):
    """A check of data failed by itself."""


class Refused(EdgeloopError):
    """A decision said no."""
