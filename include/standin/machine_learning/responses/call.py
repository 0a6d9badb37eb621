"""A request and its answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from include.standin.machine_learning.exceptions import BadRequest
from include.standin.machine_learning.models import Document, now

TYPE = "Microsoft.MachineLearningServices/workspaces"


@dataclass(frozen=True)
class Call:
    """A request: the URL's path, the values in it, its query, and its JSON body."""

    path: str
    values: Mapping[str, str]
    query: Mapping[str, str]
    body: Document

    @property
    def properties(self) -> Document:
        """The body's `properties`."""
        found = self.body.get("properties")
        if not isinstance(found, dict):
            raise BadRequest("the body needs 'properties'")
        return found

    @property
    def workspace_id(self) -> str:
        """ARM id of the workspace."""
        return re.sub(r"^(?:/history/v1\.0)?(/subscriptions/.*?/workspaces/[^/]+).*$", r"\1", self.path)


@dataclass(frozen=True)
class Reply:
    """Status and JSON body."""

    status: int
    body: Document | None


def resource(path: str, name: str, kind: str, properties: Document) -> Document:
    """A resource as Azure Resource Manager writes it."""
    made = now()
    system = {"createdBy": "edgeloop", "createdByType": "Application", "createdAt": made, "lastModifiedAt": made}
    return {"id": path, "name": name, "type": kind, "systemData": system, "properties": properties}
