"""The contents of ConfigMaps and Secrets, and the fields of a pod (downward API)."""

import base64
import re
from typing import Any

from include.standin.node.api import Api, ApiError, Json
from include.standin.node.settings import ConfigError

KINDS = {"configmaps": "configmap", "secrets": "secret"}


async def read(api: Api, namespace: str, kind: str, name: str, optional: bool = False) -> dict[str, bytes]:
    """Key -> content of a ConfigMap (`configmaps`) or Secret (`secrets`); ConfigError when it is not there, unless optional."""
    try:
        found = await api.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
    except ApiError as error:
        if error.status == 404 and optional:
            return {}
        if error.status == 404:
            raise ConfigError(f'{KINDS[kind]} "{name}" not found') from error
        raise ConfigError(f'{KINDS[kind]} "{name}" cannot be read: {error}') from error
    if kind == "secrets":
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    plain = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return plain | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}


async def key(api: Api, namespace: str, kind: str, reference: Json) -> bytes | None:
    """The content that a configMapKeyRef or secretKeyRef names; None where it is optional and missing."""
    optional = bool(reference.get("optional"))
    content = await read(api, namespace, kind, reference["name"], optional)
    if reference["key"] not in content and not optional:
        raise ConfigError(f"couldn't find key {reference['key']} in {KINDS[kind]} {namespace}/{reference['name']}")
    return content.get(reference["key"])


def field(pod: Json, path: str, address: str, host: str) -> str:
    """What a fieldRef names; ConfigError for a field that the downward API does not have."""
    metadata, spec = pod["metadata"], pod["spec"]
    if one := re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path):
        return str((metadata.get(one[1]) or {}).get(one[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        return "\n".join(f'{name}="{value}"' for name, value in sorted((metadata.get(path[9:]) or {}).items()))
    known: dict[str, Any] = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName"),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": address,
        "status.podIPs": address,
        "status.hostIP": host,
    }
    if path not in known:
        raise ConfigError(f"field {path!r} cannot be given to a container: {', '.join(known)} can")
    return str(known[path])
