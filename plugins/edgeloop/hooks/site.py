"""A site's cluster: what a rollout left there, and where its scorer answers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import yaml
from airflow.sdk import BaseHook

from edgeloop.exceptions import ConnectionIncomplete, ServiceError, UnexpectedReply
from include.domain import naming
from include.settings import merged, site_cluster

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api


@dataclass(frozen=True)
class RolloutState:
    """The state of a workload's rollout, as the rollout program wrote it (docs/contracts.md)."""

    release: str
    step: str
    current: str
    previous: str
    verdict: str | None
    reasons: tuple[str, ...]


class SiteHook(BaseHook):
    """One site, by its Connection (type kubernetes: extra `kube_config`, `namespace` and, where the cluster asks for it, `values`)."""

    def __init__(self, site: str) -> None:
        super().__init__()
        self.site = site
        self.conn_id = site_cluster(site)

    @cached_property
    def namespace(self) -> str:
        """The namespace that is the site."""
        found = self.get_connection(self.conn_id).extra_dejson.get("namespace")
        if not found:
            raise ConnectionIncomplete(self.conn_id, "lacks 'namespace' in its extra")
        return str(found)

    def scoring_values(self, values: str) -> str:
        """The scorer's Helm values (YAML) with what this cluster asks for over them: the Connection's `values`."""
        own = self.get_connection(self.conn_id).extra_dejson.get("values") or {}
        if not isinstance(own, dict):
            raise ConnectionIncomplete(self.conn_id, "has 'values' in its extra that are not an object of Helm values")
        return yaml.safe_dump(merged(yaml.safe_load(values), own), sort_keys=True) if own else values

    @cached_property
    def core(self) -> "CoreV1Api":
        """Client of the core API."""
        from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

        return KubernetesHook(conn_id=self.conn_id).core_v1_client

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Says in a sentence that the site's cluster is away, instead of urllib3's words for it."""
        from urllib3.exceptions import HTTPError

        try:
            yield
        except HTTPError as away:
            raise ServiceError(
                f"the cluster of site {self.site} does not answer: check its link and the server in Connection {self.conn_id}, then clear "
                f"this task. The site goes on with what it serves. ({away})"
            ) from away

    def rollout_state(self, workload: str) -> RolloutState | None:
        """Where the workload's rollout stands, or None before the first."""
        from kubernetes.client.exceptions import ApiException

        try:
            with self.reached():
                found = self.core.read_namespaced_config_map(naming.rollout_state(workload), self.namespace)
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        try:
            said = json.loads(found.data["state"])
            known = {name: said[name] for name in ("release", "step", "current", "previous", "verdict")}
            return RolloutState(**known, reasons=tuple(said["reasons"]))
        except (ValueError, KeyError, TypeError) as error:
            name = naming.rollout_state(workload)
            raise UnexpectedReply(
                f"ConfigMap {name} of site {self.site} holds no state of a rollout ({error!r}): run roll_out again"
            ) from error
