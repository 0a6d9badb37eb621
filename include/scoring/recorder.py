"""Commits what requests leave before they are answered. Requests that wait at the same moment share one commit, so one fsync."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from include.scoring.outbox import Entry, Outbox


class Recorder:
    """The only writer of an outbox; used from one event loop."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._task: asyncio.Task[None] | None = None

    async def record(self, entry: Entry) -> None:
        """Return when the entry is on the disk; OutboxError when it is not and will not be."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._commit())
        await done

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            together, self._waiting = self._waiting, []
            failed: Exception | None = None
            try:
                await loop.run_in_executor(self._thread, self._outbox.write, [entry for entry, _ in together])
            except Exception as error:  # whatever it was: nobody may wait for ever
                failed = error
            for _, done in together:
                if not done.done():
                    done.set_result(None) if failed is None else done.set_exception(failed)

    def close(self) -> None:
        """Wait for the commit that runs."""
        self._thread.shutdown()
