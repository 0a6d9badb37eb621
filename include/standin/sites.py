"""What an administrator does on each site's cluster, done for the embedded cloud: namespace, roles, trust, the scorers' environment."""

from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

from include import settings
from include.rollout.set_up import set_up
from include.standin import signing
from include.standin.home import Home
from include.standin.kubernetes import kubeconfig as embedded
from include.standin.kubernetes.tokens import Tokens

NAMESPACE = "edgeloop"
TOKEN_SECONDS = 30 * 24 * 3600
"""How long a real cluster is asked to accept Airflow's token; each `up` asks for a new one."""


def namespace(home: Home, site: str) -> str:
    """The namespace that is the site: one for each where they share a cluster."""
    return f"{NAMESPACE}-{site}" if home.place.site_kubeconfig else NAMESPACE


def administrator(home: Home, site: str) -> Path:
    """The kubeconfig of the administrator of the site's cluster."""
    return Path(home.place.site_kubeconfig) if home.place.site_kubeconfig else embedded.write(home, site)


def kubeconfig(home: Home, site: str, account: str) -> dict[str, Any]:
    """A kubeconfig of a service account of the site's namespace."""
    where = namespace(home, site)
    if not home.place.site_kubeconfig:
        return embedded.build(home, site, account, Tokens(home, site).lasting(where, account), where)
    admin = administrator(home, site)
    core = client.CoreV1Api(config.new_client_from_config(str(admin)))
    asked = {"spec": {"expirationSeconds": TOKEN_SECONDS}}
    token = core.create_namespaced_service_account_token(account, where, asked).status.token
    said: dict[str, Any] = yaml.safe_load(admin.read_text(encoding="utf-8"))
    name = said["current-context"]
    context = next(one["context"] for one in said["contexts"] if one["name"] == name)
    return {
        **said,
        "clusters": [one for one in said["clusters"] if one["name"] == context["cluster"]],
        "users": [{"name": account, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": context["cluster"], "user": account, "namespace": where}}],
    }


def set_up_all(home: Home, connections: dict[str, dict[str, Any]]) -> None:
    """Every site; safe to run again. `connections`: those of the services, which the site's registry and storage are taken from."""
    for site in home.sites:
        set_up(namespace(home, site), values(home, site, connections), kubeconfig=str(administrator(home, site)))


def values(home: Home, site: str, connections: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Values of the chart `site`."""
    registry, storage = connections[settings.RELEASES], connections[settings.site_storage(site)]
    return {
        "registry": registry["host"].removeprefix("https://"),
        "pull": {"username": registry["login"], "password": registry["password"]},
        "trust": {"publicKey": signing.public_key(home).read_text(encoding="ascii"), "ca": _ca(registry)},
        "scorer": {
            "EDGELOOP_SITE": site,
            "EDGELOOP_JURISDICTION": settings.sites()[site].jurisdiction,
            "EDGELOOP_QUEUE_ENDPOINT": storage["extra"]["queue_endpoint"],
            "EDGELOOP_STORAGE_ACCOUNT": storage["login"],
            "EDGELOOP_STORAGE_KEY": storage["password"],
            "EDGELOOP_CA_PEM": _ca(storage),
        },
    }


def _ca(connection: dict[str, Any]) -> str:
    """PEM of the CA that the Connection names; empty: the system's."""
    path = connection["extra"].get("ca_bundle")
    return Path(path).read_text(encoding="ascii") if path else ""
