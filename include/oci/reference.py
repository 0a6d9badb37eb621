"""Names of images: `registry/repository:tag@digest`, and digests."""

import hashlib
import re
from dataclasses import dataclass, replace

from include.oci.exceptions import ReferenceInvalid

REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
"""OCI distribution specification 1.1, "Pulling manifests". Other digest algorithms are not used here."""
HOST = re.compile(r"(localhost|[A-Za-z0-9.-]+\.[A-Za-z0-9.-]+|[A-Za-z0-9.-]+(?=:)|\[[0-9a-fA-F:]+\])(:\d+)?")
LONGEST_REPOSITORY = 255


def digest(data: bytes) -> str:
    """`sha256:<hex>` of the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def short(of: str) -> str:
    """The first 12 hex digits of a digest: enough for a tag."""
    return of.removeprefix("sha256:")[:12]


def is_digest(text: str) -> bool:
    """Whether the text is a whole digest."""
    return DIGEST.fullmatch(text) is not None


def is_repository(text: str) -> bool:
    """Whether a registry takes the text as a repository's name."""
    return len(text) <= LONGEST_REPOSITORY and REPOSITORY.fullmatch(text) is not None


@dataclass(frozen=True)
class Reference:
    """An image by name. `registry` is host[:port], empty where the Connection says it; `tag` and `digest` may both be there."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        if not is_repository(self.repository):
            raise ReferenceInvalid(
                f"{self.repository!r} is not a repository: lower case letters, digits, '.', '_', '-', in parts joined by '/'"
            )
        if self.tag is not None and not TAG.fullmatch(self.tag):
            raise ReferenceInvalid(f"{self.tag!r} is not a tag: up to 128 letters, digits, '.', '_', '-'")
        if self.digest is not None and not is_digest(self.digest):
            raise ReferenceInvalid(f"{self.digest!r} is not a digest: write sha256:<64 hex digits>")

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Read `[registry/]repository[:tag][@digest]`. The first part is a registry when it has a dot or a port, or is `localhost`."""
        name, _, found = text.partition("@")
        registry, slash, rest = name.partition("/")
        if not slash or not HOST.fullmatch(registry):
            registry, rest = "", name
        repository, _, tag = rest.partition(":")
        if text.endswith(("@", ":")):
            raise ReferenceInvalid(f"{text!r} ends where a tag or digest should follow: write registry/repository:tag@sha256:<hex>")
        return cls(registry, repository, tag or None, found or None)

    @property
    def target(self) -> str:
        """What a registry is asked for: the digest when there is one, else the tag; ReferenceInvalid when there is neither."""
        found = self.digest or self.tag
        if not found:
            raise ReferenceInvalid(f"{self} names no tag and no digest: there is no default tag here, add one")
        return found

    def at(self, found: str) -> "Reference":
        """The same repository by digest alone."""
        return replace(self, tag=None, digest=found)

    def __str__(self) -> str:
        name = f"{self.registry}/{self.repository}" if self.registry else self.repository
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")
