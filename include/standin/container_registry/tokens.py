"""Who may come in: the registry's one login, as Basic, or as a Bearer token that it was exchanged for (Docker token authentication)."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass

from starlette.requests import Request

from include.standin.container_registry.exceptions import Unauthorized

LIFETIME = 300
"""Seconds; Docker's own default is 60, Azure's 4500."""


@dataclass(frozen=True)
class Door:
    """The login of one registry, and the key of its tokens."""

    name: str
    username: str
    password: str

    def token(self, authorization: str, scopes: list[str]) -> dict[str, object]:
        """A token for the scopes (`repository:<name>:<actions>`); UNAUTHORIZED for a wrong login."""
        if not self._login(authorization):
            raise Unauthorized("login or password is wrong")
        said = {"registry": self.name, "scopes": scopes, "until": int(time.time()) + LIFETIME}
        payload = base64.urlsafe_b64encode(json.dumps(said).encode()).decode()
        token = f"{payload}.{self._sealed(payload)}"
        return {"token": token, "access_token": token, "expires_in": LIFETIME}

    def check(self, request: Request, repository: str | None, action: str) -> None:
        """UNAUTHORIZED with a challenge, unless the request carries the login, or a token for this repository and action."""
        authorization = request.headers.get("Authorization", "")
        if self._login(authorization) or self._allows(authorization, repository, action):
            return
        host = request.headers.get("Host", "localhost")
        challenge = f'Bearer realm="https://{host}/token",service="{self.name}"'
        if repository:
            challenge += f',scope="repository:{repository}:{"pull,push" if action == "push" else "pull"}"'
        raise Unauthorized("a login is needed", {"WWW-Authenticate": challenge})

    def _login(self, authorization: str) -> bool:
        scheme, _, said = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(said, validate=True)
        except ValueError:
            return False
        return hmac.compare_digest(given, f"{self.username}:{self.password}".encode())

    def _allows(self, authorization: str, repository: str | None, action: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        payload, _, seal = token.partition(".")
        if scheme.lower() != "bearer" or not hmac.compare_digest(seal.encode(), self._sealed(payload).encode()):
            return False
        said = json.loads(base64.urlsafe_b64decode(payload))
        if said["registry"] != self.name or said["until"] < time.time():
            return False
        return repository is None or any(_covers(scope, repository, action) for scope in said["scopes"])

    def _sealed(self, payload: str) -> str:
        return hmac.new(self.password.encode(), payload.encode(), hashlib.sha256).hexdigest()


def _covers(scope: str, repository: str, action: str) -> bool:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return kind == "repository" and name == repository and (action in actions.split(",") or "*" in actions.split(","))
