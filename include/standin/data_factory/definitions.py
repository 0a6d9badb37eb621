"""A factory's linked services, datasets and pipelines, on disk."""

import json
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.standin.data_factory import exceptions
from include.standin.data_factory.models import write_json

KINDS = ("linkedservices", "datasets", "pipelines")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,259}")


class Definitions:
    """Linked services, datasets and pipelines: a file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, factory: str, kind: str, name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Create or replace; gives the resource."""
        if not NAME.fullmatch(name):
            raise exceptions.bad_request(f"'{name[:80]}' is not a name: letters, digits, '_' and '-'.")
        file = self._file(factory, kind, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"name": name, "etag": str(uuid.uuid4()), "properties": properties})
        return self.get(factory, kind, name)

    def get(self, factory: str, kind: str, name: str) -> dict[str, Any]:
        """The resource; Refusal 404 when there is none."""
        try:
            return json.loads(self._file(factory, kind, name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise exceptions.not_found(kind, name, factory) from None

    def all_of(self, factory: str, kind: str) -> list[dict[str, Any]]:
        """Every resource of the kind."""
        return [json.loads(file.read_text(encoding="utf-8")) for file in sorted((self.folder / factory / kind).glob("[!.]*.json"))]

    def delete(self, factory: str, kind: str, name: str) -> bool:
        """Whether there was one."""
        file = self._file(factory, kind, name)
        there = file.exists()
        file.unlink(missing_ok=True)
        return there

    def _file(self, factory: str, kind: str, name: str) -> Path:
        if not NAME.fullmatch(factory) or not NAME.fullmatch(name):
            raise exceptions.not_found(kind, name[:80], factory[:80])
        return self.folder / factory / kind / f"{name}.json"
