"""Refusals of the storage proxy, as XML errors in the form that Azurite and Azure write."""

import uuid
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from aiohttp import web


class StorageError(Exception):
    """A request that the account does not take."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> web.Response:
        """The answer, with the request id that Azure's clients print."""
        request_id = str(uuid.uuid4())
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = (
            '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Error>\n'
            f"  <Code>{self.code}</Code>\n  <Message>{escape(str(self))}\nRequestId:{request_id}\nTime:{at}</Message>\n</Error>"
        )
        headers = {"x-ms-error-code": self.code, "x-ms-request-id": request_id}
        return web.Response(text=body, status=self.status, headers=headers, content_type="application/xml")


def unsupported_version(where: str, value: str) -> StorageError:
    """A newer API than the account speaks."""
    return StorageError(
        400, "InvalidHeaderValue", f"The value for one of the HTTP headers is not in the correct format. ({where}: {value[:40]})"
    )


def unsupported_header(name: str) -> StorageError:
    """A feature asked for by a header."""
    return StorageError(400, "UnsupportedHeader", f"One of the HTTP headers specified in the request is not supported. ({name})")


def unsupported_query(name: str, value: str) -> StorageError:
    """A feature asked for by a query parameter."""
    message = f"Value for one of the query parameters specified in the request URI is invalid. ({name}={value[:80]})"
    return StorageError(400, "InvalidQueryParameterValue", message)


def name_too_long(length: int, limit: int) -> StorageError:
    """A blob's name."""
    return StorageError(400, "InvalidResourceName", f"The specified resource name has {length} characters; at most {limit} are allowed.")


def not_implemented(what: str) -> StorageError:
    """Neither Azurite nor this proxy can do it; better to say so than to ignore it."""
    return StorageError(501, "NotImplemented", f"The requested operation is not implemented on the specified resource. ({what})")


def immutable_blob() -> StorageError:
    """Write once, read many."""
    return StorageError(409, "BlobImmutableDueToPolicy", "This operation is not permitted as the blob is immutable due to a policy.")


def immutable_container() -> StorageError:
    """The container cannot go while its policy holds."""
    return StorageError(409, "ContainerImmutableStorageEnabled", "The container has a policy for immutable storage.")


def unknown_account(account: str) -> StorageError:
    """There is no such account."""
    return StorageError(404, "ResourceNotFound", f"The specified account does not exist. ({account[:40]})")


def too_large(limit: int) -> StorageError:
    """The body passed the bound."""
    return StorageError(413, "RequestBodyTooLarge", f"The request body is too large; at most {limit} bytes are allowed.")


def server_busy(detail: str) -> StorageError:
    """The account's Azurite does not answer. Clients try again."""
    return StorageError(503, "ServerBusy", f"The server is currently unable to receive requests. Please retry your request. ({detail})")
