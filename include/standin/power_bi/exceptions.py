"""Power BI's refusals, by its own codes."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class PowerBIError(Exception):
    """The service says no."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def entity_not_found(what: str) -> PowerBIError:
    """No such group, dataset or refresh."""
    return PowerBIError(404, "PowerBIEntityNotFound", f"{what} was not found.")


def refresh_in_progress() -> PowerBIError:
    """A dataset is refreshed once at a time."""
    return PowerBIError(400, "RefreshInProgressException", "Another refresh request is already executing.")


def invalid(message: str) -> PowerBIError:
    """The request cannot be read."""
    return PowerBIError(400, "InvalidRequest", message)


async def answer(_: Request, error: Exception) -> Response:
    """The error as the service writes it."""
    assert isinstance(error, PowerBIError)  # noqa: S101 - registered for this class only
    headers = {"X-PowerBI-Error-Info": error.code}
    return JSONResponse({"error": {"code": error.code, "message": str(error)}}, error.status, headers)
