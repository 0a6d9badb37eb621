"""What an administrator does on each site's cluster, done for the embedded ones: namespace, roles, trust, the scorers' environment."""

from typing import Any

from include.rollout.set_up import set_up
from include.settings import sites
from include.standin import signing
from include.standin.connections import NAMESPACE
from include.standin.home import Home
from include.standin.kubernetes import kubeconfig


def set_up_all(home: Home) -> None:
    """Every site; safe to run again."""
    for site in home.sites:
        set_up(NAMESPACE, values(home, site), kubeconfig=str(kubeconfig.write(home, site)))


def values(home: Home, site: str) -> dict[str, Any]:
    """Values of the chart `site`."""
    ca = home.ca.read_text(encoding="ascii")
    account = home.account(site)
    return {
        "registry": home.url("releases").removeprefix("https://"),
        "pull": {"username": home.identity.registry_user, "password": home.identity.registry_password},
        "trust": {"publicKey": signing.public_key(home).read_text(encoding="ascii"), "ca": ca},
        "scorer": {
            "EDGELOOP_SITE": site,
            "EDGELOOP_JURISDICTION": sites()[site].jurisdiction,
            "EDGELOOP_QUEUE_ENDPOINT": home.queue_url(account),
            "EDGELOOP_STORAGE_ACCOUNT": account,
            "EDGELOOP_STORAGE_KEY": home.account_key(account),
            "EDGELOOP_CA_PEM": ca,
        },
    }
