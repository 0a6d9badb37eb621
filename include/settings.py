"""Names and defaults of the Airflow side: connections, tags, retries. Constants, and the small files that DAGs are built from."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent

CLOUD = "edgeloop_cloud"
"""Connection: the cloud profile (authority, resource manager, CA, subscription, names of the services)."""
LAKE = "edgeloop_lake"
"""Connection: the storage account of the cloud."""
CANDIDATES = "edgeloop_candidates"
"""Connection: the registry that candidates are pushed to."""
RELEASES = "edgeloop_releases"
"""Connection: the registry that sites pull from."""
SIGNING = "edgeloop_signing"
"""Connection: the key that signs releases."""


def site_cluster(site: str) -> str:
    """Connection (type kubernetes): the site's cluster."""
    return f"edgeloop_site_{site}"


def site_storage(site: str) -> str:
    """Connection: the storage account of the site's Stack Hub."""
    return f"edgeloop_storage_{site}"


DEFAULT_ARGS: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=5), "execution_timeout": timedelta(minutes=30)}
"""A killed worker must not end a run; remote jobs are found again by a retry."""


@dataclass(frozen=True)
class Site:
    """A Stack Hub site, as `include/sites.yaml` names it."""

    name: str
    wave: int
    jurisdiction: str
    freeze: tuple[str, ...]


@cache
def sites() -> dict[str, Site]:
    """Every site, by name."""
    with (ROOT / "include" / "sites.yaml").open(encoding="utf-8") as file:
        return {
            name: Site(name, said["wave"], said["jurisdiction"], tuple(said.get("freeze") or ()))
            for name, said in yaml.safe_load(file).items()
        }


def waves(of: tuple[str, ...]) -> dict[int, list[str]]:
    """The sites of a workload by wave, first wave first."""
    known = sites()
    unknown = [name for name in of if name not in known]
    if unknown:
        raise KeyError(f"site {unknown[0]!r} is not in include/sites.yaml, which has {', '.join(known)}")
    found: dict[int, list[str]] = {}
    for name in of:
        found.setdefault(known[name].wave, []).append(name)
    return dict(sorted(found.items()))


def scoring_values(site: str) -> str:
    """Helm values of a site's scorer as YAML: `helm-values/scoring/<site>.yaml` over `base.yaml`, and the site's freeze windows."""
    folder = ROOT / "helm-values" / "scoring"
    base = yaml.safe_load((folder / "base.yaml").read_text(encoding="utf-8"))
    own = folder / f"{site}.yaml"
    said = yaml.safe_load(own.read_text(encoding="utf-8")) if own.exists() else None
    return yaml.safe_dump({**merged(base, said or {}), "freeze": list(sites()[site].freeze)}, sort_keys=True)


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on `base`, key by key, as Helm merges values files."""
    found = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        found[key] = merged(base[key], value) if both else value
    return found
