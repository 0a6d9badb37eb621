"""What the API server refuses, with the reasons and messages of the real one.

ApiError
├── BadRequest, Unauthorized, Forbidden, NotFound, NoSuchPath, MethodNotAllowed
├── AlreadyExists, Conflict, ApplyConflict
├── Expired, UnsupportedMediaType, Invalid, InvalidPatch, TypedPatchError, InternalError
└── Denied (an admission policy said no)
"""

import json
from dataclasses import dataclass
from typing import Any

from include.standin.kubernetes.kinds import Kind


@dataclass(frozen=True)
class Cause:
    """One cause in the details of a Status: machine-readable reason, message, and the field's path."""

    reason: str
    message: str
    field: str = ""

    def json(self) -> dict[str, str]:
        """The cause as the API writes it."""
        return {key: value for key, value in (("reason", self.reason), ("message", self.message), ("field", self.field)) if value}


@dataclass
class ApiError(Exception):
    """A refusal: HTTP code, reason and message of a `Status`."""

    code: int
    reason: str
    message: str
    details: dict[str, Any] | None = None

    def __str__(self) -> str:
        return self.message

    def status(self) -> dict[str, Any]:
        """The `Status` object that is sent."""
        said: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message}
        if self.reason:
            said["reason"] = self.reason
        if self.details is not None:
            said["details"] = self.details
        return said | {"code": self.code}


def _details(kind: Kind, name: str, causes: list[Cause] | None = None, as_kind: bool = False) -> dict[str, Any]:
    said: dict[str, Any] = {"name": name} if name else {}
    if kind.group:
        said["group"] = kind.group
    said["kind"] = kind.kind if as_kind else kind.plural
    if causes:
        said["causes"] = [cause.json() for cause in causes]
    return said


class BadRequest(ApiError):
    """400."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "BadRequest", message)


class Unauthorized(ApiError):
    """401: no token, or one that is not known."""

    def __init__(self) -> None:
        super().__init__(401, "Unauthorized", "Unauthorized")


class Forbidden(ApiError):
    """403: `why` says what the user cannot do."""

    def __init__(self, kind: Kind, name: str, why: str) -> None:
        named = f'{kind.qualified} "{name}"' if name else kind.qualified
        super().__init__(403, "Forbidden", f"{named} is forbidden: {why}", _details(kind, name))


class ForbiddenPath(ApiError):
    """403 for a path that is no resource."""

    def __init__(self, user: str, verb: str, path: str) -> None:
        super().__init__(403, "Forbidden", f'forbidden: User "{user}" cannot {verb} path "{path}"')


class NotFound(ApiError):
    """404: no object of that name."""

    def __init__(self, kind: Kind, name: str) -> None:
        super().__init__(404, "NotFound", f'{kind.qualified} "{name}" not found', _details(kind, name))


class NoSuchPath(ApiError):
    """404: no such resource."""

    def __init__(self) -> None:
        super().__init__(404, "NotFound", "the server could not find the requested resource", {})


class MethodNotAllowed(ApiError):
    """405."""

    def __init__(self) -> None:
        super().__init__(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


class AlreadyExists(ApiError):
    """409: the name is taken."""

    def __init__(self, kind: Kind, name: str) -> None:
        super().__init__(409, "AlreadyExists", f'{kind.qualified} "{name}" already exists', _details(kind, name))


class Conflict(ApiError):
    """409: the object was changed since it was read."""

    def __init__(self, kind: Kind, name: str, why: str = "") -> None:
        why = why or "the object has been modified; please apply your changes to the latest version and try again"
        super().__init__(409, "Conflict", f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}', _details(kind, name))


class ApplyConflict(ApiError):
    """409: other managers own fields that are applied with other values."""

    def __init__(self, message: str, causes: list[Cause]) -> None:
        super().__init__(409, "Conflict", message, {"causes": [cause.json() for cause in causes]})


class Expired(ApiError):
    """410: the journal does not reach back to the revision."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(410, "Expired", f"too old resource version: {asked} ({oldest})")


class UnsupportedMediaType(ApiError):
    """415."""

    def __init__(self, accepted: str) -> None:
        message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        super().__init__(415, "UnsupportedMediaType", message)


class Invalid(ApiError):
    """422: fields that break a rule of the type."""

    def __init__(self, kind: Kind, name: str, causes: list[Cause]) -> None:
        found = [f"{cause.field}: {cause.message}" for cause in causes]
        text = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
        typed = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
        super().__init__(422, "Invalid", f'{typed} "{name}" is invalid: {text}', _details(kind, name, causes, as_kind=True))


class Denied(ApiError):
    """422: a ValidatingAdmissionPolicy refused the request."""

    def __init__(self, kind: Kind, name: str, message: str, reason: str = "Invalid") -> None:
        code = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}.get(reason, 422)
        text = f'{kind.qualified} "{name}" is forbidden: {message}'
        super().__init__(code, reason, text, _details(kind, name, [Cause("", message)]))


class InternalError(ApiError):
    """500: this server could not do what it should."""

    def __init__(self, message: str) -> None:
        super().__init__(500, "InternalError", f"Internal error occurred: {message}")


class InvalidPatch(ApiError):
    """422: what a patch leaves cannot be decoded strictly. The real server quotes the whole object, and so does this."""

    def __init__(self, patched: Any, why: str) -> None:
        text = f"Invalid value: {json.dumps(json.dumps(patched, separators=(',', ':')))}: {why}"
        causes = [Cause("FieldValueInvalid", text, "patch").json()]
        super().__init__(422, "Invalid", f' "" is invalid: patch: {text}', {"causes": causes})


class TypedPatchError(ApiError):
    """500, as the real server answers an applied object that does not fit its type."""

    def __init__(self, message: str) -> None:
        super().__init__(500, "", message)
