"""What a request asks for: the resource of its path, the verb, who asks, what it carries."""

import json
from dataclasses import dataclass
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from include.standin.kubernetes import kinds, protobuf
from include.standin.kubernetes.authorization import Action
from include.standin.kubernetes.exceptions import ApiError, BadRequest, MethodNotAllowed, NoSuchPath, UnsupportedMediaType
from include.standin.kubernetes.kinds import Kind
from include.standin.kubernetes.store import Key
from include.standin.kubernetes.tokens import User
from include.standin.kubernetes.writing import Author

LARGEST = 3 * 1024 * 1024
"""Bytes of a body, as the real server has it."""
JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
APPLY = "application/apply-patch+yaml"
PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", APPLY)
NAMED = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
COLLECTION = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}


@dataclass(frozen=True)
class Call:
    """One request for a resource."""

    request: Request
    kind: Kind
    namespace: str
    name: str
    subresource: str
    user: User

    @classmethod
    def read(cls, request: Request, user: User) -> "Call":
        """From path and method; NoSuchPath when nothing of the kind is served."""
        path = dict(request.path_params)
        if path.get("plural") in ("status", "finalize") and "name" not in path:  # /namespaces/<name>/status is no collection
            path = {**path, "name": path.pop("namespace"), "subresource": path["plural"], "plural": "namespaces"}
        group, version = path.get("group", ""), path["version"]
        kind = kinds.BY_PATH.get((f"{group}/{version}" if group else version, path["plural"]))
        subresource = path.get("subresource", "")
        if kind is None or (subresource and subresource not in kind.subresources):
            raise NoSuchPath()
        if not kind.namespaced and path.get("namespace"):
            raise NoSuchPath()
        return cls(request, kind, path.get("namespace", ""), path.get("name", ""), subresource, user)

    @property
    def query(self) -> dict[str, str]:
        """Query parameters; the first of several of one name."""
        return dict(reversed(self.request.query_params.multi_items()))

    @property
    def key(self) -> Key:
        """The object that is named."""
        return Key(self.kind, self.namespace, self.name)

    @property
    def watches(self) -> bool:
        """Whether changes are asked for."""
        return self.says("watch")

    def says(self, name: str) -> bool:
        """Whether a switch is on: it is there and is not `false` or `0` (apimachinery `Convert_Slice_string_To_bool`)."""
        return self.query.get(name, "false").lower() not in ("false", "0")

    @property
    def verb(self) -> str:
        """The verb as roles name it."""
        verbs = NAMED if self.name else COLLECTION
        if self.request.method not in verbs:
            raise MethodNotAllowed()
        found = verbs[self.request.method]
        return "watch" if found == "list" and self.watches else found

    def action(self, name: str = "", verb: str = "") -> Action:
        """What the caller must be allowed."""
        return Action(verb or self.verb, self.kind.group, self.kind.plural, self.subresource, self.namespace, self.name or name)

    @property
    def content_type(self) -> str:
        """Media type of the body, without parameters."""
        return self.request.headers.get("content-type", JSON).partition(";")[0].strip().lower()

    @property
    def accepts_table(self) -> bool:
        """Whether columns for printing are asked for."""
        return "as=Table" in self.request.headers.get("accept", "")

    @property
    def strictness(self) -> str:
        """`Strict`, `Warn` (when nothing is said) or `Ignore`."""
        said = self.query.get("fieldValidation") or "Warn"
        if said not in ("Strict", "Warn", "Ignore"):
            raise BadRequest(f'fieldValidation: Unsupported value: "{said}": supported values: "", "Ignore", "Strict", "Warn"')
        return said

    @property
    def author(self) -> Author:
        """Who writes: the named field manager, else the program that the user agent tells."""
        manager = self.query.get("fieldManager") or self.request.headers.get("user-agent", "unknown").split("/")[0]
        return Author(self.user, manager[:128], self.query.get("dryRun") == "All")

    async def body(self, accepted: tuple[str, ...] = (JSON, YAML, PROTOBUF)) -> Any:
        """The body as JSON or YAML; BadRequest for what cannot be read, UnsupportedMediaType for other types."""
        raw = await self.request.body()
        if len(raw) > LARGEST:
            raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LARGEST}")
        if self.content_type not in accepted:
            raise UnsupportedMediaType(", ".join(accepted))
        if self.content_type == PROTOBUF:
            return protobuf.decode(raw)
        return decode(raw, "yaml" in self.content_type)

    async def object(self) -> dict[str, Any]:
        """The body as an object of the call's kind, its names checked against the path."""
        found = await self.body()
        if not isinstance(found, dict):
            raise BadRequest("the body of the request is no object")
        self.check_identity(found)
        return found

    def check_identity(self, found: dict[str, Any]) -> None:
        """BadRequest when apiVersion, kind, name or namespace are not those of the path."""
        kind = self.kind
        if found.get("apiVersion", kind.api_version) != kind.api_version or found.get("kind", kind.kind) != kind.kind:
            given = f"{found.get('apiVersion', kind.api_version)}, Kind={found.get('kind', kind.kind)}"
            raise BadRequest(
                f"the API version in the data ({given}) does not match the expected API version ({kind.api_version}, Kind={kind.kind})"
            )
        found.setdefault("metadata", {})
        meta = found["metadata"]
        if not isinstance(meta, dict):
            raise BadRequest("metadata is no object")
        if kind.namespaced and (meta.get("namespace") or self.namespace) != self.namespace:
            raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
        if self.name and not self.subresource and (meta.get("name") or self.name) != self.name:
            raise BadRequest(f"the name of the object ({meta['name']}) does not match the name on the URL ({self.name})")


def decode(raw: bytes, as_yaml: bool) -> Any:
    """JSON, or YAML, of which JSON is a part."""
    try:
        return yaml.safe_load(raw) if as_yaml else json.loads(raw)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise BadRequest(f"error decoding the body of the request: {error}") from error


def answer(said: Any, code: int = 200, warnings: list[str] | None = None) -> Response:
    """JSON, with the warnings that kubectl shows."""
    response = JSONResponse(said, code)
    for warning in warnings or ():
        text = warning.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        response.headers.append("Warning", f'299 - "{text}"')
    return response
