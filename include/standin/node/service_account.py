"""The identity of a pod: a kubeconfig of its service account, whose token is asked for and renewed."""

import base64
import json
import os
import time
from pathlib import Path

import yaml

from include.standin.node.api import Api, ApiError, Json
from include.standin.node.settings import ConfigError

LIFETIME = 86_400
"""Seconds; programs that read KUBECONFIG once live on the first token."""


async def token(api: Api, pod: Json, audience: str | None = None, seconds: int = LIFETIME) -> str:
    """A token of the pod's service account (TokenRequest), bound to the pod: it ends with it."""
    metadata, account = pod["metadata"], pod["spec"].get("serviceAccountName") or "default"
    bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
    spec: Json = {"expirationSeconds": seconds, "boundObjectRef": bound, "audiences": [audience] if audience else []}
    try:
        answer = await api.call(
            "POST",
            f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
        )
    except ApiError as error:
        raise ConfigError(f"service account {metadata['namespace']}/{account} gave no token: {error}") from error
    return str(answer["status"]["token"])


def replace(path: Path, content: bytes) -> None:
    """Write a file for the owner only, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}~")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    part.replace(path)


class Identity:
    """The kubeconfig in a pod's folder."""

    def __init__(self, api: Api, pod: Json, folder: Path) -> None:
        self.api, self.pod, self.folder = api, pod, folder
        self.path = folder / "kubeconfig"
        self.renewed = 0.0

    @property
    def wanted(self) -> bool:
        """Whether the pod gets one: automountServiceAccountToken, true unless said otherwise."""
        return self.pod["spec"].get("automountServiceAccountToken") is not False

    async def write(self) -> None:
        """Write the token, and the kubeconfig that names its file: clients that look again find the new one."""
        content = await token(self.api, self.pod)
        replace(self.folder / "token", content.encode())
        access = self.api.access
        cluster = {"server": access.server, "certificate-authority-data": base64.b64encode(access.ca).decode()}
        context = {"cluster": "site", "user": "pod", "namespace": self.pod["metadata"]["namespace"]}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "site", "cluster": cluster}],
            "users": [{"name": "pod", "user": {"tokenFile": str(self.folder / "token")}}],
            "contexts": [{"name": "site", "context": context}],
            "current-context": "site",
        }
        replace(self.path, yaml.safe_dump(config).encode())
        self.renewed = time.time() + 0.8 * (_expiry(content) - time.time())

    async def renew(self) -> None:
        """Write it again when four fifths of the token's life are over."""
        if self.wanted and self.path.exists() and time.time() > self.renewed:
            await self.write()


def _expiry(content: str) -> float:
    """When a token ends (Unix time), as it says itself; in an hour, if it does not."""
    try:
        claims = content.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"])
    except (IndexError, ValueError, KeyError):
        return time.time() + 3600
