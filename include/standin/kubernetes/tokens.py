"""Bearer tokens: JWTs that the site signs, of its administrator and of service accounts (TokenRequest)."""

import os
import secrets
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt

from include.standin.home import Home
from include.standin.kubernetes import kinds
from include.standin.kubernetes.exceptions import Unauthorized
from include.standin.kubernetes.store import Key, Store

ISSUER = "https://kubernetes.default.svc"
ADMIN = "kubernetes-admin"
SHORTEST, LONGEST, USUAL = 600, 2**32, 3600
"""Seconds that a token may be asked for (TokenRequestSpec), and what it gets when nothing is said."""


@dataclass(frozen=True)
class User:
    """Who asks."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict, hash=False)


def service_account(namespace: str, name: str, uid: str = "") -> User:
    """The user that a service account's token stands for."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups, uid)


def _signing_key(home: Home, site: str) -> bytes:
    """The site's key, invented once; two programs that start at once agree on one."""
    file = home.folder(f"kubernetes/{site}") / "token.key"
    draft = file.with_name(f".token.key.{os.getpid()}")
    if not file.exists():
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(secrets.token_bytes(32))
        _link_once(draft, file)
    return file.read_bytes()


def _link_once(draft: Path, file: Path) -> None:
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


class Tokens:
    """Issues and checks the tokens of one site. Nothing is stored but the key: a token proves itself."""

    def __init__(self, home: Home, site: str) -> None:
        self.key = _signing_key(home, site)

    def admin(self) -> str:
        """The administrator's token; it does not expire."""
        return self._sign({"sub": ADMIN, "groups": ["system:masters"]})

    def lasting(self, namespace: str, name: str) -> str:
        """A service account's token that does not expire, as a Secret of type service-account-token would hold."""
        return self._sign({"sub": service_account(namespace, name).name})

    def request(self, account: dict[str, Any], spec: dict[str, Any]) -> tuple[str, int]:
        """A token for the account as a TokenRequest asks for it, and the second it expires at."""
        meta, now = account["metadata"], int(time.time())
        asked = spec.get("expirationSeconds") or USUAL
        bound: dict[str, Any] = {"namespace": meta["namespace"], "serviceaccount": {"name": meta["name"], "uid": meta["uid"]}}
        if reference := spec.get("boundObjectRef"):
            bound[reference["kind"].lower()] = {"name": reference.get("name"), "uid": reference.get("uid")}
        claims = {
            "aud": spec.get("audiences") or [ISSUER],
            "exp": now + asked,
            "iat": now,
            "nbf": now,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": bound,
            "sub": service_account(meta["namespace"], meta["name"]).name,
        }
        return self._sign(claims), now + asked

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"iss": ISSUER, **claims}, self.key, algorithm="HS256")

    def user(self, authorization: str | None, store: Store) -> User:
        """Who the header `Authorization` stands for; Unauthorized when nobody, or when the account or bound pod is gone."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized()
        return self.authenticate(token.strip(), store)

    def authenticate(self, token: str, store: Store) -> User:
        """Who the token stands for; Unauthorized when nobody."""
        try:
            claims = jwt.decode(token, self.key, algorithms=["HS256"], issuer=ISSUER, options={"verify_aud": False})
        except jwt.PyJWTError as error:
            raise Unauthorized() from error
        if ISSUER not in claims.get("aud", [ISSUER]):
            raise Unauthorized()
        if claims["sub"] == ADMIN:
            return User(ADMIN, (*claims["groups"], "system:authenticated"))
        return self._account(claims, store)

    def _account(self, claims: dict[str, Any], store: Store) -> User:
        _, _, namespace, name = claims["sub"].split(":")
        bound = claims.get("kubernetes.io", {})
        uid = _living(store, Key(kinds.SERVICE_ACCOUNT, namespace, name), bound.get("serviceaccount", {}).get("uid"))
        for kind, reference in ((kinds.POD, bound.get("pod")), (kinds.SECRET, bound.get("secret"))):
            if reference:
                _living(store, Key(kind, namespace, reference["name"]), reference.get("uid"))
        return service_account(namespace, name, uid)


def _living(store: Store, key: Key, uid: str | None) -> str:
    """The uid of the object that a token is bound to; Unauthorized when it is gone or another."""
    if not store.has(key):
        raise Unauthorized()
    found: str = store.peek(key)["metadata"]["uid"]
    if uid and uid != found:
        raise Unauthorized()
    return found
