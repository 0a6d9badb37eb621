"""The Airflow Connections of an embedded cloud, which are all that tells it from Azure (docs/contracts.md)."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from include import settings
from include.domain import naming
from include.standin import power_bi, private, signing, sites
from include.standin.home import Home, HomeError
from include.standin.storage.rules import NEWEST_STACK_HUB

Connection = dict[str, Any]
"""As Airflow reads it from JSON: `conn_type, host, login, password, extra`."""
OWN_CONNECTIONS = "EDGELOOP_CONNECTIONS"
"""Variable: a YAML file of Connections that replace generated ones, some fields of them or all."""


def connections(home: Home) -> dict[str, Connection]:
    """Every Connection by its id; what the file of EDGELOOP_CONNECTIONS says goes over it, field by field.

    Sites on a real cluster must be set up: their service account is asked for a token.
    """
    clusters = {settings.site_cluster(site): _site_cluster(home, site) for site in home.sites}
    return settings.merged({**services(home), **clusters}, _own())


def services(home: Home) -> dict[str, Connection]:
    """Every Connection but those of the sites' clusters."""
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
    return settings.merged(found, _own())


def _own() -> dict[str, Any]:
    """What the user's file says; HomeError when it is not a mapping of Connections."""
    path = os.environ.get(OWN_CONNECTIONS)
    if not path:
        return {}
    try:
        said = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise HomeError(f"{OWN_CONNECTIONS} names {path}, which cannot be read: {error}") from error
    if not isinstance(said, dict) or not all(isinstance(fields, dict) for fields in said.values()):
        raise HomeError(f"{path} is not a mapping of Connection ids to their fields: see docs/connections.md")
    return said


def write(home: Home, found: dict[str, Connection]) -> Path:
    """`connections.json`, for Airflow's LocalFilesystemBackend; replaced whole, readable by its owner only."""
    return private.write(home.path / "connections.json", _json(found))


def read(home: Home) -> dict[str, Connection]:
    """What `write` wrote; HomeError before the first time."""
    file = home.path / "connections.json"
    if not file.exists():
        raise HomeError(f"{file} is not there: the embedded cloud was not set up; run `make up`")
    found: dict[str, Connection] = json.loads(file.read_text(encoding="utf-8"))
    return found


def hand_out(home: Home, found: dict[str, Connection], folder: Path) -> Path:
    """The same and the CA in a folder of their own, for an Airflow that does not see the home; gives the Connections' file."""
    ca = folder / "ca.pem"
    ca.write_bytes(home.ca.read_bytes())
    return private.write(folder / "connections.json", _json(_with_ca(found, str(home.ca), str(ca))))


def _json(found: dict[str, Connection]) -> bytes:
    return json.dumps(found, indent=1).encode()


def _with_ca(said: Any, ours: str, theirs: str) -> Any:
    """The Connections with the CA's path as it is elsewhere."""
    if isinstance(said, dict):
        return {name: _with_ca(value, ours, theirs) for name, value in said.items()}
    return theirs if said == ours else said


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
    """Airflow's own service account on the site; it may start the rollout's pods and read what they left."""
    said = json.dumps(sites.kubeconfig(home, site, "edgeloop-airflow"))
    return {"conn_type": "kubernetes", "extra": {"kube_config": said, "namespace": sites.namespace(home, site)}}
