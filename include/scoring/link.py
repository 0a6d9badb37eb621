"""The link to the site's queue, through the Azure SDK."""

import atexit
import os
import tempfile

from include.scoring.settings import Link
from include.scoring.shipper import LinkDown, Send

STACK_HUB_API = "2019-07-07"
"""Newest storage API that Azure Stack Hub speaks; the SDK asks for a newer one unless told."""

FOR_EVER = -1
"""A message lives seven days unless told otherwise: less than a drain may stand still."""


def sender(link: Link, queue: str) -> Send:
    """A function that puts one message into the queue. It tries once: the shipper waits and tries again."""
    from azure.core.exceptions import AzureError, ResourceNotFoundError
    from azure.storage.queue import QueueClient

    client = QueueClient(
        link.endpoint,
        queue,
        credential={"account_name": link.account, "account_key": link.key},
        api_version=STACK_HUB_API,
        connection_verify=_authorities(link.ca_pem),
        connection_timeout=5,
        read_timeout=15,
        retry_total=0,
    )

    def send(content: str) -> None:
        try:
            client.send_message(content, time_to_live=FOR_EVER)
        except ResourceNotFoundError as error:
            raise LinkDown(f"there is no queue {queue} at {link.endpoint}: create it") from error
        except AzureError as error:
            raise LinkDown(f"{link.endpoint}/{queue} took no message: {error.__class__.__name__}: {error.message}") from error

    return send


def _authorities(pem: str) -> str | bool:
    """What the SDK takes as `connection_verify`: it wants a file. True: the system's authorities."""
    if not pem.strip():
        return True
    handle, path = tempfile.mkstemp(prefix="edgeloop-ca-", suffix=".pem")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(pem)
    atexit.register(os.unlink, path)
    return path
