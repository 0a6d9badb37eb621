"""The tenant: one service principal, and the tokens that it gets."""

import hmac
import time
from dataclasses import dataclass
from typing import Any

import jwt

from include.standin.entra import exceptions
from include.standin.home import Home

LIFETIME = 3599
"""Seconds that a token is good for; Entra's default is about an hour."""
ADFS = "adfs"
"""The tenant of a Stack Hub that is disconnected from Entra."""


@dataclass(frozen=True)
class Directory:
    """Issues and checks the access tokens of one embedded cloud."""

    home: Home

    def authority(self, tenant: str) -> str:
        """URL of a tenant; EntraError for a tenant that is not there."""
        if tenant not in (self.home.identity.tenant_id, ADFS):
            raise exceptions.unknown_tenant(tenant)
        return f"{self.home.url('cloud')}/{tenant}"

    def sign_in(self, client_id: str, client_secret: str) -> None:
        """EntraError unless it is the service principal with its secret."""
        known = self.home.identity
        if client_id != known.client_id:
            raise exceptions.unknown_application(client_id)
        if not hmac.compare_digest(client_secret.encode(), known.client_secret.encode()):
            raise exceptions.invalid_client()

    def issue(self, audience: str, lifetime: int = LIFETIME, tenant: str | None = None) -> str:
        """An access token for the audience. A negative lifetime gives one that is over."""
        now = int(time.time())
        known = self.home.identity
        claims = {
            "aud": audience.rstrip("/"),
            "iss": f"{self.authority(tenant or known.tenant_id)}/v2.0",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + lifetime,
            "appid": known.client_id,
            "oid": known.client_id,
            "tid": known.tenant_id,
        }
        return jwt.encode(claims, known.token_key, algorithm="HS256")

    def check(self, authorization: str | None, audience: str) -> dict[str, Any]:
        """The claims of an Authorization header's token; TokenRefused when it is not good for the audience."""
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise exceptions.TokenRefused("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        try:
            found: dict[str, Any] = jwt.decode(token.strip(), self.home.identity.token_key, ["HS256"], audience=audience.rstrip("/"))
            return found
        except jwt.ExpiredSignatureError as error:
            message = "The access token expiry has passed. Acquire a new token and send the request again."
            raise exceptions.TokenRefused("ExpiredAuthenticationToken", message) from error
        except jwt.InvalidAudienceError as error:
            message = f"The access token has been obtained for another audience than '{audience}'."
            raise exceptions.TokenRefused("InvalidAuthenticationTokenAudience", message) from error
        except jwt.InvalidTokenError as error:
            raise exceptions.TokenRefused("InvalidAuthenticationToken", "The access token is invalid.") from error
