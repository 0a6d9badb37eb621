"""A snapshot names the exact data that a model saw: the sorted list of blobs and their content hashes."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Part:
    """One blob of a snapshot: its name and the hash of its content (the blob's Content-MD5, base64)."""

    blob: str
    content_hash: str


@dataclass(frozen=True)
class Snapshot:
    """The blobs that a training job reads, sorted by name."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, parts: Iterable[Part]) -> "Snapshot":
        """The snapshot of these parts; their order does not matter, a blob that is named twice with two contents is an error."""
        unique = sorted(set(parts))
        names = [p.blob for p in unique]
        if len(set(names)) != len(names):
            raise ValueError("a blob is listed with two contents: it changed while the snapshot was taken; take it again")
        return cls(tuple(unique))

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over the canonical JSON of the list: the same data gives the same name, whoever asked for it."""
        return "sha256:" + hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Canonical JSON: a list of [blob, content hash]."""
        return json.dumps([[p.blob, p.content_hash] for p in self.parts], separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Snapshot":
        """What `to_json` wrote."""
        return cls.of(Part(*row) for row in json.loads(text))
