"""Refreshes of a dataset, a file each."""

import json
import os
import time
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from include.standin.power_bi import exceptions

DURATION = 0.5
"""Seconds that a refresh takes."""
KEPT = 60
"""Refreshes in the history, as the service keeps them."""
Status = Literal["Unknown", "Completed", "Cancelled"]
"""`Unknown` is the service's word for: still running."""


@dataclass(frozen=True)
class Refresh:
    """One refresh. Times are seconds since the epoch."""

    request_id: str
    started: float
    ends: float
    refresh_type: str = "ViaApi"
    cancelled: bool = False

    @property
    def status(self) -> Status:
        """What it is now."""
        if self.cancelled:
            return "Cancelled"
        return "Completed" if time.time() >= self.ends else "Unknown"

    def as_entry(self) -> dict[str, Any]:
        """An entry of the refresh history."""
        entry = {
            "requestId": self.request_id,
            "id": self.request_id,
            "refreshType": self.refresh_type,
            "startTime": _iso(self.started),
            "status": self.status,
        }
        return entry if self.status == "Unknown" else entry | {"endTime": _iso(self.ends)}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Dataset:
    """A dataset's refreshes on disk."""

    folder: Path

    def history(self, top: int = KEPT) -> list[Refresh]:
        """The newest first."""
        found = [self._read(file) for file in self.folder.glob("*.json")]
        return sorted(found, key=lambda refresh: refresh.started, reverse=True)[:top]

    def get(self, request_id: str) -> Refresh:
        """One refresh; PowerBIError when there is none."""
        for refresh in self.history():
            if refresh.request_id == request_id:
                return refresh
        raise exceptions.entity_not_found("The refresh")

    def start(self, duration: float = DURATION) -> Refresh:
        """Begin a refresh; PowerBIError while another one runs."""
        if any(refresh.status == "Unknown" for refresh in self.history(1)):
            raise exceptions.refresh_in_progress()
        now = time.time()
        refresh = Refresh(str(uuid.uuid4()), now, now + duration)
        self._write(refresh)
        for old in [*self.folder.glob("*.json")]:
            if old.stem not in {kept.request_id for kept in self.history()}:
                old.unlink(missing_ok=True)
        return refresh

    def cancel(self, request_id: str) -> None:
        """End a refresh that still runs; one that is over stays as it is."""
        refresh = self.get(request_id)
        if refresh.status == "Unknown":
            self._write(replace(refresh, cancelled=True, ends=time.time()))

    def _read(self, file: Path) -> Refresh:
        return Refresh(**json.loads(file.read_text(encoding="utf-8")))

    def _write(self, refresh: Refresh) -> None:
        draft = self.folder / f".{refresh.request_id}"
        draft.write_text(json.dumps(asdict(refresh)), encoding="utf-8")
        os.replace(draft, self.folder / f"{refresh.request_id}.json")
