"""A round of messages: received, kept hidden from others while they are worked on, deleted at the end."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from include.border.messages import Received

log = logging.getLogger(__name__)

PAGE = 32
"""Messages a call: the most that the queue service gives."""
PARALLEL = 8


class Lease:
    """Up to `most` messages, invisible for `visibility` seconds, again and again until the block ends.

    A message that was not deleted is visible again after at most `visibility` seconds. Losing one to another drain is no error:
    what it holds is in the log, here or there.
    """

    def __init__(self, queue: QueueClient, most: int, visibility: int) -> None:
        self._queue = queue
        self._visibility = visibility
        self._messages: list[QueueMessage] = list(self._receive(most))
        self._done = threading.Event()
        self._renewer = threading.Thread(target=self._keep, name="renewer", daemon=True)

    @property
    def received(self) -> list[Received]:
        """The messages, as they are worked on."""
        return [Received(message.id, str(message.content)) for message in self._messages]

    def __enter__(self) -> "Lease":
        if self._messages:
            self._renewer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def delete(self) -> None:
        """The messages are settled."""
        self._stop()
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(self._delete_one, self._messages))

    def _receive(self, most: int) -> Iterator[QueueMessage]:
        for _ in range(most // PAGE):
            pages = self._queue.receive_messages(messages_per_page=PAGE, visibility_timeout=self._visibility).by_page()
            page = list(next(pages, ()))
            yield from page
            if len(page) < PAGE:
                return

    def _stop(self) -> None:
        self._done.set()
        if self._renewer.ident:
            self._renewer.join()

    def _keep(self) -> None:
        while not self._done.wait(self._visibility / 3):
            with ThreadPoolExecutor(PARALLEL) as pool:
                list(pool.map(self._renew_one, self._messages))

    def _renew_one(self, message: QueueMessage) -> None:
        try:
            renewed = self._queue.update_message(message, visibility_timeout=self._visibility)
            message.pop_receipt = renewed.pop_receipt
        except AzureError as error:
            log.info("message %s was not renewed: %s", message.id, error.__class__.__name__)

    def _delete_one(self, message: QueueMessage) -> None:
        try:
            self._queue.delete_message(message)
        except ResourceNotFoundError:
            return
        except HttpResponseError as error:
            if error.error_code != "PopReceiptMismatch":
                raise
