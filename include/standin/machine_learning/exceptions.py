"""What the service answers when it says no, in Azure ML's own codes, and why a job failed.

MachineLearningError      an answer with a status and an error document
├── NotFound              404 NotFound
├── BadRequest            400 UserError
└── Conflict              409 Conflict: the name is taken by something else
JobFailed                 a job cannot go on; the reason becomes the job's error
└── EnvironmentNotBuilt   its environment cannot be had on this machine
"""

from typing import Any


class MachineLearningError(Exception):
    """An answer with a status and an error document."""

    status = 500
    code = "ServiceError"

    def document(self) -> dict[str, Any]:
        """The error as Azure Resource Manager writes it."""
        return {"error": {"code": self.code, "message": str(self)}}


class NotFound(MachineLearningError):
    """There is nothing of that name."""

    status = 404
    code = "NotFound"


class BadRequest(MachineLearningError):
    """The request makes no sense."""

    status = 400
    code = "UserError"


class Conflict(MachineLearningError):
    """The name is taken by something else."""

    status = 409
    code = "Conflict"


class JobFailed(Exception):
    """A job cannot go on."""


class EnvironmentNotBuilt(JobFailed):
    """Its environment cannot be had on this machine."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the environment cannot be built: {reason}")
