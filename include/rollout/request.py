"""What a rollout pod was asked to do: its environment, read once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from include.domain import naming
from include.domain.rollout import Limits

IMAGE = re.compile(r"[^@\s]+/[^@\s]+@sha256:[0-9a-f]{64}")


class RequestError(ValueError):
    """The pod's environment is not a request; the message names the variable."""


@dataclass(frozen=True)
class Request:
    """One workload's release for one site."""

    workload: str
    site: str
    namespace: str
    release: str
    """`registry/repository@sha256:...`: the image to bring, for a roll-back the one to leave."""
    values: Mapping[str, Any]
    """Helm values of the site; key `judge` holds the limits."""

    @property
    def scorer(self) -> str:
        """Name of the stable Deployment and Service."""
        return naming.scorer(self.workload)

    @property
    def canary(self) -> str:
        """Name of the canary's."""
        return naming.canary(self.workload)

    @property
    def limits(self) -> Limits:
        """What the judge allows."""
        return Limits(**{name: self._figure(name) for name in Limits.__dataclass_fields__})

    @property
    def ready_seconds(self) -> float:
        """How long a scorer may take to become ready."""
        return self._figure("ready_seconds")

    @property
    def replayed_requests(self) -> int:
        """How many recorded requests are asked again."""
        return int(self._figure("replayed_requests"))

    def _figure(self, name: str) -> float:
        return float(self.values["judge"][name])

    @property
    def chart_values(self) -> dict[str, Any]:
        """The values that the chart knows."""
        return {key: value for key, value in self.values.items() if key not in ("judge", "freeze")}

    @property
    def freeze(self) -> tuple[str, ...]:
        """Daily hours (UTC) in which nothing is rolled out."""
        return tuple(self.values.get("freeze") or ())

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Request":
        """Read the variables of docs/contracts.md, "Sites' clusters"."""
        names = ("EDGELOOP_WORKLOAD", "EDGELOOP_SITE", "EDGELOOP_NAMESPACE", "EDGELOOP_RELEASE", "EDGELOOP_VALUES")
        missing = [name for name in names if not environment.get(name)]
        if missing:
            raise RequestError(f"{', '.join(missing)} not set: the rollout runs as a pod that the roll_out DAG makes")
        workload, site, namespace, release = (environment[name] for name in names[:4])
        if not IMAGE.fullmatch(release):
            raise RequestError(f"EDGELOOP_RELEASE is {release!r}: an image by digest is wanted, registry/repository@sha256:<64 hex digits>")
        return cls(workload, site, namespace, release, _values(environment["EDGELOOP_VALUES"]))


def _values(text: str) -> dict[str, Any]:
    """Helm values with all figures that the judge needs."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RequestError(f"EDGELOOP_VALUES is not YAML: {error}") from error
    judge = values.get("judge") if isinstance(values, dict) else None
    if not isinstance(judge, dict):
        raise RequestError("EDGELOOP_VALUES is not a YAML mapping with a mapping 'judge' (see helm-values/scoring/base.yaml)")
    for name in (*Limits.__dataclass_fields__, "ready_seconds", "replayed_requests"):
        if not isinstance(judge.get(name), int | float):
            raise RequestError(
                f"judge.{name} of the site's values is {judge.get(name)!r}: a number is wanted (helm-values/scoring/base.yaml)"
            )
    return dict(values)
