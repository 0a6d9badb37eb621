"""The scorer on the site, stable or canary: what should be there, and how to bring it there."""

from typing import Any

from include.rollout import chart
from include.rollout.cluster import Cluster, NotReady
from include.rollout.request import Request

RELEASE = "edgeloop.io/release"
PREVIOUS = "edgeloop.io/previous"
APPROVED = "edgeloop-approved"
"""ConfigMap whose keys are the hex digests that the admission policy lets in, each with its repository."""


def running(cluster: Cluster, request: Request) -> tuple[str, str]:
    """Image of the stable scorer and the one before it; empty when there is none."""
    found = cluster.deployment(request.scorer)
    if found is None:
        return "", ""
    notes = found.metadata.annotations or {}
    return notes.get(RELEASE, ""), notes.get(PREVIOUS, "")


def approve(cluster: Cluster, image: str) -> None:
    """Let the admission policy accept the image's digest."""
    cluster.apply_config_map(APPROVED, {_hex(image): image.rpartition("@")[0]})


def withdraw(cluster: Cluster, request: Request) -> None:
    """Of the release's repository, only what the stable scorer runs and ran before stays approved."""
    kept = {_hex(image) for image in running(cluster, request)}
    repository = request.release.rpartition("@")[0]
    approved = cluster.config_map(APPROVED) or {}
    gone: dict[str, str | None] = {digest: None for digest, of in approved.items() if of == repository and digest not in kept}
    if gone:
        cluster.apply_config_map(APPROVED, gone)


def values(request: Request, image: str, role: str, previous: str = "") -> dict[str, Any]:
    """Values of the chart `scorer` for the image in a role."""
    found: dict[str, Any] = {
        **request.chart_values,
        "name": request.scorer if role == "stable" else request.canary,
        "workload": request.workload,
        "role": role,
        "image": image,
        "previous": previous,
    }
    return found | {"replicas": 1} if role == "canary" else found


def bring(cluster: Cluster, request: Request, image: str, *, role: str, previous: str = "") -> None:
    """Apply the chart for this image and wait until it serves. NotReady says why it does not."""
    said = values(request, image, role, previous)
    cluster.apply(chart.render("scorer", request.namespace, said))
    cluster.wait_ready(said["name"], request.ready_seconds)


def replace(cluster: Cluster, request: Request, image: str, *, previous: str, old: str, before_old: str) -> list[str]:
    """Make the stable scorer run the image; if it does not get ready, return to `old`. Gives why it failed, empty when it did not."""
    try:
        bring(cluster, request, image, role="stable", previous=previous)
    except NotReady as error:
        return [str(error), _return(cluster, request, old, before_old)]
    return []


def _return(cluster: Cluster, request: Request, old: str, before_old: str) -> str:
    if not old:
        cluster.delete_scorer(request.scorer)
        return "there was none before: the site has no scorer"
    try:
        bring(cluster, request, old, role="stable", previous=before_old)
    except NotReady as error:
        return f"returned to {old}, which is not well either: {error}"
    return f"returned to {old}"


def _hex(image: str) -> str:
    return image.rpartition("@sha256:")[2]
