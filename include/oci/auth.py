"""How a registry lets in: Basic, or a Bearer token fetched from where its challenge says (Docker token authentication)."""

import base64
import re
from collections.abc import Generator
from dataclasses import dataclass

import httpx

from include.oci.exceptions import AccessDenied, RegistryUnreachable

REPOSITORY = re.compile(r"/v2/(.+)/(?:blobs|manifests|tags|referrers)/")


@dataclass(frozen=True)
class Challenge:
    """What a 401 asks for: `scheme` in lower case, and its parameters (`realm`, `service`, `scope`)."""

    scheme: str
    parameters: dict[str, str]

    @classmethod
    def parse(cls, header: str) -> "Challenge":
        """Read a WWW-Authenticate header."""
        scheme, _, rest = header.strip().partition(" ")
        return cls(scheme.lower(), {name.lower(): value for name, value in re.findall(r'(\w+)="([^"]*)"', rest)})


class RegistryAuth(httpx.Auth):
    """Answers challenges of one registry; its login goes to that registry and to the token service it names, nowhere else.

    Tokens are kept by repository: a pull's token is replaced when a push is asked for more.
    """

    def __init__(self, url: httpx.URL, username: str | None, password: str | None) -> None:
        self._origin = (url.scheme, url.host, url.port)
        self._login = base64.b64encode(f"{username}:{password or ''}".encode()).decode() if username else None
        self._known: dict[str, str] = {}

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send with what is known; on a 401 fetch what is asked for and send once more."""
        if not self._ours(request.url):
            yield request
            return
        place = self._place(request.url)
        if place in self._known:
            request.headers["Authorization"] = self._known[place]
        response = yield request
        if response.status_code != 401 or not self._ours(response.url):
            return
        challenge = Challenge.parse(response.headers.get("WWW-Authenticate", ""))
        if challenge.scheme == "bearer":
            answer = yield self._token_request(request, challenge)
            answer.read()
            self._known[place] = f"Bearer {self._token(answer)}"
        elif challenge.scheme == "basic" and self._login:
            self._known[place] = f"Basic {self._login}"
        else:
            return
        request.headers["Authorization"] = self._known[place]
        yield request

    def _ours(self, url: httpx.URL) -> bool:
        return (url.scheme, url.host, url.port) == self._origin

    def _place(self, url: httpx.URL) -> str:
        found = REPOSITORY.match(url.path)
        return f"{found[1]} {url.params.get('from', '')}" if found else ""

    def _token_request(self, request: httpx.Request, challenge: Challenge) -> httpx.Request:
        realm = httpx.URL(challenge.parameters.get("realm", ""))
        if realm.scheme != "https" and not self._ours(realm):
            raise RegistryUnreachable(f"{request.url.host} names {str(realm)!r} as its token service, which is not an https:// URL")
        scopes = challenge.parameters.get("scope", "").split()
        if "from" in request.url.params:  # registries that forget the source of a mount in their challenge
            scopes.append(f"repository:{request.url.params['from']}:pull")
        asked = {"service": challenge.parameters.get("service", ""), "scope": list(dict.fromkeys(scopes))}
        headers = {"Authorization": f"Basic {self._login}"} if self._login else {}
        return httpx.Request("GET", realm.copy_merge_params(asked), headers=headers, extensions=dict(request.extensions))

    def _token(self, answer: httpx.Response) -> str:
        what = f"a token from {answer.url.copy_with(query=None)}"
        if answer.status_code != 200:
            raise AccessDenied(f"{what}; check login and password of the registry", answer.status_code)
        try:
            said = answer.json()
            return str(said.get("token") or said["access_token"])
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise AccessDenied(f"{what}: the answer has no token", answer.status_code) from error
