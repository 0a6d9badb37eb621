"""Where things are: names of blobs, of Kubernetes objects and of repositories, derived in one place."""

import re
from datetime import date

LAKE = "lake"
"""Container of everything but insights."""
COMPLIANT = "compliant"
"""Container of what crossed the border: written once, never changed (WORM in Azure)."""
LANDING = "historian"
"""Container in which a site's historian leaves its daily exports."""
WEB = "web"
"""Container of pages for people: Data Docs and the global page. Blobs in it may be read without a login."""


def partition(workload: str, stage: str, site: str, day: date, name: str) -> str:
    """Blob name of one partition's file: one site and one day of one stage."""
    return f"{workload}/{stage}/site={site}/date={day.isoformat()}/{name}"


def partition_of(blob: str) -> tuple[str, date]:
    """Site and day of a blob of the lake; ValueError when the name is not a partition's."""
    found = re.search(r"/site=([^/]+)/date=(\d{4}-\d{2}-\d{2})/", blob)
    if not found:
        raise ValueError(f"{blob} is not the name of a partition (…/site=<site>/date=<yyyy-mm-dd>/…)")
    return found[1], date.fromisoformat(found[2])


def dns_name(workload: str) -> str:
    """The workload as Kubernetes, queues and registries may spell it: lower case, digits and hyphens."""
    return workload.replace("_", "-").lower()


def queue(workload: str) -> str:
    """Queue of a site's storage account that takes the workload's events."""
    return dns_name(workload)


def poison_queue(workload: str) -> str:
    """Queue for events that can never be stored, each with its reason (Azure Functions' naming)."""
    return f"{queue(workload)}-poison"


def repository(workload: str) -> str:
    """Repository of the workload's scorer images, in the candidate and in the release registry."""
    return f"edgeloop/{dns_name(workload)}"


def scorer(workload: str) -> str:
    """Name of the Deployment and the Service that score on a site."""
    return f"{dns_name(workload)}-scorer"


def canary(workload: str) -> str:
    """Name of the canary's Deployment and Service."""
    return f"{scorer(workload)}-canary"


def rollout_state(workload: str) -> str:
    """ConfigMap on the site's cluster that holds the state of the rollout."""
    return f"{dns_name(workload)}-rollout"


def job_folder(workload: str, job: str) -> str:
    """Folder of the lake that takes the outputs of a training job."""
    return f"{workload}/models/{job}"


def snapshot_manifest(workload: str, snapshot: str) -> str:
    """Blob that lists the partitions of a snapshot."""
    return f"{workload}/snapshots/{snapshot.removeprefix('sha256:')}.json"
