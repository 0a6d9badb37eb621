"""Entra's refusals, in Entra's words (https://learn.microsoft.com/entra/identity-platform/reference-error-codes)."""

from starlette.responses import JSONResponse


class EntraError(Exception):
    """The token endpoint says no."""

    def __init__(self, status: int, error: str, number: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": error, "error_description": f"AADSTS{number}: {message}", "error_codes": [number]}


def invalid_client() -> EntraError:
    """The secret is wrong."""
    return EntraError(401, "invalid_client", 7000215, "Invalid client secret provided.")


def unknown_application(client_id: str) -> EntraError:
    """No such application in the tenant."""
    return EntraError(400, "unauthorized_client", 700016, f"Application with identifier '{client_id[:80]}' was not found in the directory.")


def unknown_tenant(tenant: str) -> EntraError:
    """No such tenant."""
    return EntraError(400, "invalid_request", 90002, f"Tenant '{tenant[:80]}' not found.")


def unsupported_grant(grant: str) -> EntraError:
    """Only client credentials are served here."""
    return EntraError(400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{grant[:80]}'.")


def missing(parameter: str) -> EntraError:
    """The request lacks something."""
    return EntraError(400, "invalid_request", 900144, f"The request body must contain the following parameter: '{parameter}'.")


class TokenRefused(Exception):
    """A resource says no to a bearer token, as Azure Resource Manager does."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def response(self, authority: str) -> JSONResponse:
        """401 with the challenge of RFC 6750."""
        challenge = f'Bearer authorization_uri="{authority}", error="invalid_token", error_description="{self}"'
        return JSONResponse({"error": {"code": self.code, "message": str(self)}}, 401, {"WWW-Authenticate": challenge})
