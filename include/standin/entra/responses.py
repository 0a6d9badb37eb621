"""Answers of the token endpoints."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from include.standin.entra import exceptions
from include.standin.entra.models import ADFS, LIFETIME, Directory
from include.standin.faults import EXPIRED_TOKEN

Handler = Callable[["Responses", Request], Awaitable[Response]]


def _says_why(handler: Handler) -> Handler:
    @wraps(handler)
    async def wrapped(self: "Responses", request: Request) -> Response:
        try:
            return await handler(self, request)
        except exceptions.EntraError as error:
            return JSONResponse(error.body, error.status)

    return wrapped


def _required(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise exceptions.missing(name)
    return form[name]


@dataclass(frozen=True)
class Responses:
    """What each route answers."""

    directory: Directory

    @_says_why
    async def configuration(self, request: Request) -> Response:
        """OpenID Connect discovery of a tenant."""
        tenant = request.path_params["tenant"]
        authority = self.directory.authority(tenant)
        oauth = f"{authority}/oauth2" if tenant == ADFS else f"{authority}/oauth2/v2.0"
        return JSONResponse(
            {
                "issuer": authority if tenant == ADFS else f"{authority}/v2.0",
                "authorization_endpoint": f"{oauth}/authorize",
                "token_endpoint": f"{oauth}/token",
                "jwks_uri": f"{authority}/discovery/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    @_says_why
    async def token(self, request: Request) -> Response:
        """Client credentials to access token."""
        tenant = request.path_params["tenant"]
        self.directory.authority(tenant)
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        grant = _required(form, "grant_type")
        if grant != "client_credentials":
            raise exceptions.unsupported_grant(grant)
        audience = _required(form, "resource") if "resource" in form else _required(form, "scope").removesuffix("/.default")
        self.directory.sign_in(_required(form, "client_id"), _required(form, "client_secret"))
        lifetime = -60 if request.scope.get(EXPIRED_TOKEN) else LIFETIME
        token = self.directory.issue(audience, lifetime, tenant)
        # The client is told a full lifetime also of a token that is over: that is what clock skew or a revoked key looks like.
        return JSONResponse({"token_type": "Bearer", "expires_in": LIFETIME, "ext_expires_in": LIFETIME, "access_token": token})
