"""Pushing one blob: mounted, in one piece, or in chunks that go on where a cut left them."""

import time
from collections.abc import Callable, Iterator

import httpx

from include.oci.exceptions import RegistryRefused, RegistryUnreachable
from include.oci.wire import PAUSES, Answer, Wire

Source = Callable[[int], Iterator[bytes]]
"""Gives the blob's bytes from an offset on."""
CHUNK = 4 * 1024 * 1024
"""Bytes of a request: what is lost by a cut, and what is held in memory."""
CUTS = 5
"""How often one upload may be cut."""
BINARY = {"Content-Type": "application/octet-stream"}


class Upload:
    """One blob on its way into a repository."""

    def __init__(self, wire: Wire, repository: str, digest: str, size: int, source: Source) -> None:
        self.wire = wire
        self.repository = repository
        self.digest = digest
        self.size = size
        self.source = source

    def run(self, mount_from: str | None = None) -> None:
        """Push it, or mount it from another repository of the same registry; the registry checks the hash."""
        place = self._start(mount_from)
        if place is None:
            return
        if self.size <= CHUNK:
            self._finish(place, b"".join(self.source(0)))
        else:
            self._finish(self._send(place), None)

    def _start(self, mount_from: str | None) -> httpx.URL | None:
        """The session's place; None when a mount made it unnecessary."""
        params = {"mount": self.digest, "from": mount_from} if mount_from else {}
        answer = self.wire.request("POST", f"/v2/{self.repository}/blobs/uploads/", ok=(201, 202), params=params, content=b"")
        return None if answer.status == 201 else self._place(answer)

    def _send(self, place: httpx.URL) -> httpx.URL:
        """Chunk after chunk; gives the place that finishes the upload."""
        at, cuts = 0, 0
        while at < self.size:
            try:
                for chunk in _rechunked(self.source(at)):
                    answer = self._patch(place, at, chunk)
                    place, at = self._place(answer), at + len(chunk)
                if at < self.size:
                    raise RegistryUnreachable(f"the source of {self.digest} ended after {at} of {self.size} bytes")
            except (RegistryUnreachable, RegistryRefused) as cut:
                cuts += 1
                if cuts > CUTS or (isinstance(cut, RegistryRefused) and cut.status not in (416, 429, 500, 502, 503, 504)):
                    raise
                time.sleep(PAUSES[min(cuts, len(PAUSES)) - 1])
                place, at = self._where(place)
        return place

    def _patch(self, place: httpx.URL, at: int, chunk: bytes) -> Answer:
        """One chunk; never sent twice blindly, the registry may have some of it."""
        headers = BINARY | {"Content-Range": f"{at}-{at + len(chunk) - 1}"}
        return self.wire.request("PATCH", place, ok=(202, 204), headers=headers, content=chunk, retry=False)

    def _where(self, place: httpx.URL) -> tuple[httpx.URL, int]:
        """Where the registry stands: its Range header says `0-<last byte>`. A session that it forgot starts anew."""
        try:
            answer = self.wire.request("GET", place, ok=(204, 202))
        except RegistryRefused as gone:
            fresh = self._start(None)
            if gone.status not in (400, 404) or fresh is None:
                raise
            return fresh, 0
        last = answer.headers.get("Range", "").rpartition("-")[2]
        at = int(last) + 1 if last.isdigit() and int(last) > 0 else 0
        return self._place(answer) if "Location" in answer.headers else place, at

    def _finish(self, place: httpx.URL, data: bytes | None) -> None:
        headers = BINARY if data is not None else {}
        self.wire.request("PUT", place, ok=(201, 204), params={"digest": self.digest}, headers=headers, content=data or b"")

    def _place(self, answer: Answer) -> httpx.URL:
        location = answer.headers.get("Location")
        if not location:
            raise RegistryRefused(f"an upload to {self.repository}: no Location in the answer", answer.status)
        return self.wire.resolve(location)


def _rechunked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks of CHUNK."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= CHUNK:
            yield bytes(held[:CHUNK])
            del held[:CHUNK]
    if held:
        yield bytes(held)
