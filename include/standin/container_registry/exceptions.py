"""Error answers, with the codes of the OCI distribution specification 1.1 ("Error codes").

RegistryError
├── NameInvalid, NameUnknown
├── BlobUnknown, BlobDamaged, UploadUnknown, UploadInvalid, RangeNotSatisfiable, DigestInvalid, TooLarge
├── ManifestUnknown, ManifestInvalid, ManifestBlobUnknown
├── TagImmutable           a tag that names another digest: 409
├── Unauthorized, Denied
└── Unsupported            deleting, and what else this registry does not do: 405
"""

from starlette.responses import JSONResponse, Response


class RegistryError(Exception):
    """Root: a status, a code, and a message."""

    status = 500
    code = "UNKNOWN"

    def __init__(self, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers = headers or {}

    def response(self) -> Response:
        """The answer, as the specification has it."""
        body = {"errors": [{"code": self.code, "message": self.message, "detail": None}]}
        return JSONResponse(body, self.status, {"Docker-Distribution-API-Version": "registry/2.0", **self.headers})


class NameInvalid(RegistryError):
    """A repository's name that cannot be."""

    status, code = 400, "NAME_INVALID"


class NameUnknown(RegistryError):
    """A repository that is not there."""

    status, code = 404, "NAME_UNKNOWN"


class BlobUnknown(RegistryError):
    """A blob that the repository does not have."""

    status, code = 404, "BLOB_UNKNOWN"


class BlobDamaged(RegistryError):
    """A blob whose bytes on disk changed: never served."""

    status, code = 500, "DIGEST_INVALID"


class UploadUnknown(RegistryError):
    """An upload that is not open."""

    status, code = 404, "BLOB_UPLOAD_UNKNOWN"


class UploadInvalid(RegistryError):
    """An upload that cannot go on."""

    status, code = 400, "BLOB_UPLOAD_INVALID"


class RangeNotSatisfiable(RegistryError):
    """A chunk that does not follow the last one."""

    status, code = 416, "BLOB_UPLOAD_INVALID"


class DigestInvalid(RegistryError):
    """Content that is not what its digest says, or no digest."""

    status, code = 400, "DIGEST_INVALID"


class TooLarge(RegistryError):
    """Content over the bound."""

    status, code = 413, "SIZE_INVALID"


class ManifestUnknown(RegistryError):
    """A tag or digest that names nothing."""

    status, code = 404, "MANIFEST_UNKNOWN"


class ManifestInvalid(RegistryError):
    """A manifest that is none."""

    status, code = 400, "MANIFEST_INVALID"


class ManifestBlobUnknown(RegistryError):
    """A manifest that names content which the repository does not have."""

    status, code = 400, "MANIFEST_BLOB_UNKNOWN"


class TagImmutable(RegistryError):
    """A tag that names another digest."""

    status, code = 409, "DENIED"


class Unauthorized(RegistryError):
    """No valid login."""

    status, code = 401, "UNAUTHORIZED"


class Unsupported(RegistryError):
    """What this registry does not do."""

    status, code = 405, "UNSUPPORTED"
