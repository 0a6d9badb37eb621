"""Kubeconfigs of a site: JSON, which is YAML as well, with the CA and the token inside."""

import base64
import json
from pathlib import Path
from typing import Any

from include.standin import private
from include.standin.home import Home
from include.standin.kubernetes.tokens import ADMIN, Tokens


def build(home: Home, site: str, user: str, token: str, namespace: str) -> dict[str, Any]:
    """The kubeconfig as an object."""
    authority = base64.b64encode(home.ca.read_bytes()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": site, "cluster": {"server": home.url(f"kubernetes-{site}"), "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": site, "context": {"cluster": site, "user": user, "namespace": namespace}}],
        "current-context": site,
    }


def write(home: Home, site: str) -> Path:
    """`kube/<site>.kubeconfig`, the administrator's. The API server need not run yet."""
    said = build(home, site, ADMIN, Tokens(home, site).admin(), "default")
    return _write(home.folder("kube") / f"{site}.kubeconfig", said)


def write_service_account(home: Home, site: str, namespace: str, name: str) -> Path:
    """`kube/<site>.rollout.kubeconfig` for the account `<anything>-rollout`, else `kube/<site>.<name>.kubeconfig`.

    Its token does not expire, and is good for as long as a service account of this name is there.
    """
    said = build(home, site, name, Tokens(home, site).lasting(namespace, name), namespace)
    return _write(home.folder("kube") / f"{site}.{name.rpartition('-')[2]}.kubeconfig", said)


def _write(file: Path, said: dict[str, Any]) -> Path:
    return private.write(file, json.dumps(said, indent=1).encode())
