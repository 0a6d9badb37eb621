"""The Airflow Connections of an embedded cloud, which are all that tells it from Azure (docs/contracts.md)."""

import json
import os
from pathlib import Path
from typing import Any

from include import settings
from include.domain import naming
from include.standin import power_bi, signing
from include.standin.home import Home
from include.standin.storage.rules import NEWEST_STACK_HUB

Connection = dict[str, Any]
"""As Airflow reads it from JSON: `conn_type, host, login, password, extra`."""
NAMESPACE = "edgeloop"


def connections(home: Home) -> dict[str, Connection]:
    """Every Connection by its id."""
    found = {
        settings.CLOUD: _cloud(home),
        settings.LAKE: _lake(home),
        settings.CANDIDATES: _registry(home, "candidates", {"scoring_base": _image(home, "scoring_base")}),
        settings.RELEASES: _registry(home, "releases", {"rollout_image": _image(home, "rollout_image")}),
        settings.SIGNING: {"conn_type": "generic", "password": signing.private_key(home).read_text(encoding="ascii")},
    }
    signing.public_key(home)
    for site in home.sites:
        found[settings.site_storage(site)] = _site_storage(home, site)
        found[settings.site_cluster(site)] = _site_cluster(home, site)
    return found


def write(home: Home) -> Path:
    """`connections.json`, for Airflow's LocalFilesystemBackend; replaced whole, readable by its owner only."""
    file = home.path / "connections.json"
    draft = home.path / f".connections.{os.getpid()}.json"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        json.dump(connections(home), out, indent=1)
    draft.replace(file)
    return file


def _cloud(home: Home) -> Connection:
    known = home.identity
    extra = {
        "tenant_id": known.tenant_id,
        "authority": home.url("cloud"),
        "resource_manager": home.url("cloud"),
        "audience": home.audience,
        "ca_bundle": str(home.ca),
        "subscription_id": known.subscription_id,
        "resource_group": "edgeloop",
        "factory_name": "edgeloop",
        "workspace_name": "edgeloop",
        "datastore": "lake",
        "compute": "local",
        "approval": "automatic",
        "power_bi": {
            "endpoint": home.url("cloud"),
            "audience": power_bi.AUDIENCE,
            "group_id": known.group_id,
            "dataset_id": known.dataset_id,
        },
    }
    return {"conn_type": "generic", "login": known.client_id, "password": known.client_secret, "extra": extra}


def _storage(home: Home, account: str, extra: dict[str, Any]) -> Connection:
    return {
        "conn_type": "generic",
        "host": home.blob_url(account),
        "login": account,
        "password": home.account_key(account),
        "extra": {
            "queue_endpoint": home.queue_url(account),
            "api_version": NEWEST_STACK_HUB,
            "ca_bundle": str(home.ca),
            **extra,
        },
    }


def _lake(home: Home) -> Connection:
    account = home.account()
    return _storage(home, account, {"web_url": f"{home.blob_url(account)}/{naming.WEB}"})


def _site_storage(home: Home, site: str) -> Connection:
    return _storage(home, home.account(site), {"pseudonym_key": home.identity.pseudonym_keys[site]})


def _registry(home: Home, name: str, extra: dict[str, Any]) -> Connection:
    return {
        "conn_type": "generic",
        "host": home.url(name),
        "login": home.identity.registry_user,
        "password": home.identity.registry_password,
        "extra": {"ca_bundle": str(home.ca), **extra},
    }


def _image(home: Home, name: str) -> str:
    """`repository:tag` of a base image: what the registry wrote down when it put it there, else what it will put there."""
    from include.standin.container_registry import base_images

    written = home.folder("container_registry") / name
    if written.exists():
        return written.read_text(encoding="utf-8").strip()
    return base_images.name({"scoring_base": base_images.SCORING, "rollout_image": base_images.ROLLOUT}[name])


def _site_cluster(home: Home, site: str) -> Connection:
    from include.standin.kubernetes import kubeconfig

    said = kubeconfig.write(home, site).read_text(encoding="utf-8")
    return {"conn_type": "kubernetes", "extra": {"kube_config": said, "namespace": NAMESPACE}}
