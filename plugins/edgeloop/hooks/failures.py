"""What a failed request means, and what to do about it: one place for every client of a control plane."""

from collections.abc import Iterator
from contextlib import contextmanager

from edgeloop.exceptions import ServiceError

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses that say "later", not "no"."""


def transient(error: BaseException | None) -> bool:
    """Whether asking again may help: throttling, a server's fault, a connection that broke. A wrong certificate stays wrong."""
    while isinstance(error, ServiceError):
        error = error.__cause__
    if error is None or _untrusted(error):
        return False
    status = _status(error)
    return status in TRANSIENT if status else _no_answer(error)


@contextmanager
def clearly(service: str, conn_id: str, url: str) -> Iterator[None]:
    """A client's error inside becomes a ServiceError that names the service, its Connection and what to do."""
    import httpx
    from azure.core.exceptions import AzureError

    try:
        yield
    except (AzureError, httpx.HTTPError, OSError) as error:
        raise ServiceError(f"{service} at {url} {_what(error, conn_id)}") from error


def _status(error: BaseException) -> int | None:
    found = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    return found if isinstance(found, int) else None


def _untrusted(error: BaseException) -> bool:
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _no_answer(error: BaseException) -> bool:
    import httpx
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError

    return isinstance(error, (OSError, ServiceRequestError, ServiceResponseError, httpx.TransportError))


def _said(error: BaseException) -> str:
    """The service's own words, on one line."""
    response = getattr(error, "response", None)
    text = getattr(response, "text", "") if response is not None and not getattr(error, "message", "") else ""
    return " ".join(f"{error} {text if isinstance(text, str) else ''}".split())[:600]


def _what(error: BaseException, conn_id: str) -> str:
    status, said = _status(error), _said(error)
    if _untrusted(error):
        return f"has a certificate that is not trusted: enter the CA's PEM file as 'ca_bundle' in Connection {conn_id}. {said}"
    if "ExpiredAuthenticationToken" in said:
        return f"says that the token is over: compare this machine's clock with the service's, then clear the task. {said}"
    if status == 401 or type(error).__name__ == "ClientAuthenticationError":
        return f"does not know this identity: check login, password, tenant_id and audience of Connection {conn_id}. {said}"
    if status == 403:
        return f"forbids this: give the identity of Connection {conn_id} its role there. {said}"
    if status in TRANSIENT:
        return f"is out of order or throttles ({status}): the task's retry asks again; if it lasts, look at the service's health. {said}"
    if status:
        return f"refused the request ({status}): {said}"
    return f"does not answer: check that it runs and that the address in Connection {conn_id} is right. {said}"
