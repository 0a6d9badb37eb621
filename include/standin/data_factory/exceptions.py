"""What Data Factory says when it refuses a request or an activity fails, in the service's own codes.

Codes and texts: https://learn.microsoft.com/azure/data-factory/connector-troubleshoot-guide and its neighbours.
"""

from typing import Any


class Refusal(Exception):
    """A request is answered with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def body(self) -> dict[str, Any]:
        """The error as Azure Resource Manager writes it."""
        return {"error": {"code": self.code, "message": str(self), "target": None, "details": None}}


def bad_request(message: str) -> Refusal:
    """The request's body is not what the route takes."""
    return Refusal(400, "BadRequest", message)


def not_found(kind: str, name: str, factory: str) -> Refusal:
    """There is no such resource."""
    code = {"pipelines": "PipelineNotFound", "datasets": "DatasetNotFound", "linkedservices": "LinkedServiceNotFound"}[kind]
    return Refusal(404, code, f"The document could not be retrieved because {kind[:-1]} '{name}' does not exist in factory '{factory}'.")


def run_not_found(run_id: str) -> Refusal:
    """There is no such run."""
    return Refusal(404, "PipelineRunNotFound", f"The pipeline run id '{run_id}' was not found.")


def missing_parameters(pipeline: str, names: list[str]) -> Refusal:
    """A run lacks parameters that have no default."""
    return Refusal(400, "BadRequest", f"Missing required parameters of pipeline '{pipeline}': {', '.join(names)}.")


class ActivityError(Exception):
    """An activity fails."""

    failure_type = "UserError"
    error_code = "2200"

    def as_error(self, target: str) -> dict[str, Any]:
        """The error of an activity run."""
        return {"errorCode": self.error_code, "message": str(self), "failureType": self.failure_type, "target": target, "details": []}


class ExpressionError(ActivityError):
    """An expression cannot be evaluated."""

    error_code = "BadRequest"

    def __init__(self, expression: str, why: str) -> None:
        super().__init__(f"ErrorCode=InvalidTemplate, ErrorMessage=Unable to process expression '{expression}': {why}")


class Unsupported(ActivityError):
    """Real, but not here: include/standin/COVERAGE.md."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"ErrorCode=NotSupportedByStandIn,Message={what} is not supported by the embedded Data Factory (COVERAGE.md lists what is)."
        )


class CopyError(ActivityError):
    """A copy fails: the code, and a message that names the file."""

    def __init__(self, code: str, message: str) -> None:
        kind = "'Type=Microsoft.DataTransfer.Common.Shared.HybridDeliveryException"
        super().__init__(f"ErrorCode={code},{kind},Message={message},Source=Microsoft.DataTransfer.ClientLibrary,'")
        self.code = code


def blob_not_exist(container: str, path: str) -> CopyError:
    """The file to read is not there."""
    return CopyError("UserErrorSourceBlobNotExist", f"The required Blob is missing. ContainerName: {container}, path: {path}.")


def column_not_found(column: str, path: str, header: list[str]) -> CopyError:
    """The mapping names a column that the file lacks."""
    found = ", ".join(header) or "none"
    return CopyError(
        "UserErrorInvalidColumnMappingColumnNotFound",
        f"Column '{column}' specified in column mapping cannot be found in source file '{path}'. Columns found: {found}.",
    )


def conversion_failed(value: str, column: str, kind: str, path: str, row: int) -> CopyError:
    """A value does not fit the mapping's type. Rows are counted as lines of the file, the header is 1."""
    return CopyError(
        "TypeConversionFailure",
        f"Exception occurred when converting value '{value[:80]}' for column name '{column}' from type 'String' to type '{kind}' "
        f"in file '{path}' with row number {row}.",
    )


def bad_data(path: str, why: str) -> CopyError:
    """The file is not delimited text of one width."""
    return CopyError("DelimitedTextBadDataDetected", f"Bad data is found in source file '{path}': {why}")


def storage_failed(status: int, code: str, container: str, path: str) -> CopyError:
    """The storage account refused, or did not answer."""
    error = CopyError("AzureStorageOperationFailed", f"Blob operation Failed. ContainerName: {container}, path: {path}, {status} {code}.")
    error.failure_type = "SystemError" if status >= 500 or status == 0 else "UserError"
    return error
