"""What an account takes: a site's speaks as much as Azure Stack Hub does, the cloud's keeps what is immutable.

Source of the site's limits: Azure Stack Hub storage, differences and considerations
(https://learn.microsoft.com/azure-stack/user/azure-stack-acs-differences).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from include.domain import naming
from include.standin.storage import exceptions

NEWEST_STACK_HUB = "2019-07-07"
"""Newest `x-ms-version` of Azure Stack Hub."""
LONGEST_STACK_HUB_NAME = 880
"""Characters of a blob's name."""
WORM_CONTAINERS = frozenset({naming.COMPLIANT})
UNKNOWN_ON_STACK_HUB = frozenset({"undelete", "tier", "immutabilitypolicies", "legalhold", "tags", "query", "blobs", "incrementalcopy"})
"""Values of `comp` for features that came after that version or never came to Stack Hub."""
HEADERS_UNKNOWN_ON_STACK_HUB = (
    "x-ms-access-tier",
    "x-ms-tags",
    "x-ms-if-tags",
    "x-ms-encryption-scope",
    "x-ms-immutability-policy-until-date",
    "x-ms-legal-hold",
)
IGNORED_BY_AZURITE = ("x-ms-immutability-policy-until-date", "x-ms-legal-hold")
"""Azurite answers 201 and does nothing; silence about a hold would be a lie."""
CHANGES = frozenset({"", "blocklist", "metadata", "properties", "page", "appendblock", "snapshot", "incrementalcopy"})
"""`comp` of the PUTs that a policy for immutable blobs refuses once the blob is there. Uploading blocks and leases stay allowed."""


@dataclass(frozen=True)
class Asked:
    """A request, as far as rules look at it."""

    method: str
    account: str
    container: str
    """Or the queue."""
    blob: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @classmethod
    def parse(cls, method: str, raw_path: str, headers: Mapping[str, str]) -> "Asked":
        """From the request line; headers by any case (aiohttp's mapping)."""
        path, _, query = raw_path.partition("?")
        account, container, blob = (*(unquote(part) for part in path.lstrip("/").split("/", 2)), "", "")[:3]
        return cls(method, account, container, blob, dict(parse_qsl(query, keep_blank_values=True)), headers)

    @property
    def comp(self) -> str:
        """The sub-resource."""
        return self.query.get("comp", "").lower()

    @property
    def creates_only(self) -> bool:
        """Whether the client asks not to replace anything: the account itself refuses then, without a gap."""
        return self.headers.get("If-None-Match") == "*"


def check_stack_hub(asked: Asked) -> None:
    """StorageError unless an Azure Stack Hub would take the request."""
    for where, value in (("x-ms-version", asked.headers.get("x-ms-version")), ("sv", asked.query.get("sv"))):
        if value and value > NEWEST_STACK_HUB:
            raise exceptions.unsupported_version(where, value)
    if len(asked.blob) > LONGEST_STACK_HUB_NAME:
        raise exceptions.name_too_long(len(asked.blob), LONGEST_STACK_HUB_NAME)
    if asked.comp in UNKNOWN_ON_STACK_HUB:
        raise exceptions.unsupported_query("comp", asked.comp)
    for name in ("versionid", "startfrom"):
        if found := next((key for key in asked.query if key.lower() == name), None):
            raise exceptions.unsupported_query(found, asked.query[found])
    if {"versions", "deleted", "tags", "immutabilitypolicy", "legalhold"} & {*asked.query.get("include", "").lower().split(",")}:
        raise exceptions.unsupported_query("include", asked.query["include"])
    for name in HEADERS_UNKNOWN_ON_STACK_HUB:
        if name in asked.headers:
            raise exceptions.unsupported_header(name)


def check_cloud(asked: Asked) -> None:
    """StorageError for what can be refused without a look at the account."""
    for name in IGNORED_BY_AZURITE:
        if name in asked.headers:
            raise exceptions.not_implemented(name)
    if asked.comp == "batch" and not asked.container:
        raise exceptions.not_implemented("a batch across containers; send one for each container")
    if asked.container not in WORM_CONTAINERS:
        return
    if asked.comp == "batch":
        raise exceptions.immutable_blob()
    if asked.method == "DELETE" and not asked.blob and not asked.comp:
        raise exceptions.immutable_container()


def changes_immutable(asked: Asked) -> bool:
    """Whether the request must be refused if its blob is there: an overwrite, a change or a deletion in a WORM container."""
    if asked.container not in WORM_CONTAINERS or not asked.blob:
        return False
    return asked.method == "DELETE" or (asked.method == "PUT" and asked.comp in CHANGES and not asked.creates_only)


def starts_from(asked: Asked) -> str | None:
    """The name that a listing begins at, which Azurite 3.37 ignores."""
    if asked.method == "GET" and asked.comp == "list":
        return next((value for key, value in asked.query.items() if key.lower() == "startfrom"), None)
    return None
