"""What goes wrong with images and registries.

OciError
├── ReferenceInvalid       a name, tag or digest that no registry takes
├── LayerInvalid           files that make no layer
├── ImageUnsupported       an image that cannot be appended to or copied; says why
├── RegistryUnreachable    no answer, also after retries
├── RegistryRefused        an answer that is an error; carries the registry's status and error codes
│   ├── NotFound           no such repository, manifest or blob
│   └── AccessDenied       login missing, wrong, or without the right
├── DigestMismatch         content that is not what its digest says
├── TagTaken               the tag names another digest already: tags never move
└── NotTrusted             an image that must not run
    ├── Unsigned           nobody signed it
    ├── WrongKey           somebody signed it, with another key
    └── Tampered           what was signed is not what is there
"""


class OciError(Exception):
    """Root of what this package raises on purpose."""


class ReferenceInvalid(OciError, ValueError):
    """A name, tag or digest that no registry takes."""


class LayerInvalid(OciError, ValueError):
    """Files that make no layer."""


class ImageUnsupported(OciError):
    """An image that cannot be handled."""


class RegistryUnreachable(OciError):
    """No answer from the registry."""


class RegistryRefused(OciError):
    """An error answer: `status` of HTTP and the `codes` of the distribution specification (`MANIFEST_UNKNOWN`, ...)."""

    def __init__(self, what: str, status: int, codes: tuple[str, ...] = (), detail: str = "") -> None:
        said = f" {', '.join(codes)}" if codes else ""
        super().__init__(f"{what}: the registry answered {status}{said}{f' ({detail})' if detail else ''}")
        self.status = status
        self.codes = codes


class NotFound(RegistryRefused):
    """No such repository, manifest or blob."""


class AccessDenied(RegistryRefused):
    """The login is missing, wrong, or lacks the right."""


class DigestMismatch(OciError):
    """Content that is not what its digest says."""

    def __init__(self, what: str, expected: str, found: str) -> None:
        super().__init__(
            f"{what} is damaged: its content is {found}, asked for was {expected}. Do not use it; push it again from its source"
        )
        self.expected = expected
        self.found = found


class TagTaken(OciError):
    """The tag names another digest already."""

    def __init__(self, reference: str, present: str, wanted: str) -> None:
        super().__init__(f"{reference} names {present} already and is not moved to {wanted}: choose another tag")
        self.present = present
        self.wanted = wanted


class NotTrusted(OciError):
    """An image that must not run."""


class Unsigned(NotTrusted):
    """Nobody signed the image."""


class WrongKey(NotTrusted):
    """The image is signed, with another key."""


class Tampered(NotTrusted):
    """What was signed is not what is there."""
