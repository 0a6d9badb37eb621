"""Power BI over REST: refreshes of the dataset that the cloud profile names."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from edgeloop.exceptions import ConnectionIncomplete, ServiceError, UnexpectedReply
from edgeloop.hooks.cloud import CloudHook, PowerBI
from edgeloop.hooks.failures import clearly
from edgeloop.models import JobState, JobStatus, job_status
from include.settings import CLOUD

if TYPE_CHECKING:
    import httpx

STATUSES = {
    "Unknown": JobStatus.RUNNING,
    "Completed": JobStatus.SUCCEEDED,
    "Failed": JobStatus.FAILED,
    "Disabled": JobStatus.FAILED,
    "Cancelled": JobStatus.CANCELLED,
}
"""`Unknown` is the service's word for: still running. (REST reference, Get Refresh History In Group)"""
HISTORY = 60
"""Refreshes that the service remembers."""
BUSY_PAUSE = 2.0
"""Seconds between two tries while an older refresh runs."""
BUSY_TRIES = 300


class PowerBIHook(BaseHook):
    """The dataset's refreshes."""

    def __init__(self, cloud_conn_id: str = CLOUD) -> None:
        super().__init__()
        self.cloud_conn_id = cloud_conn_id

    @cached_property
    def cloud(self) -> CloudHook:
        """The cloud whose authority gives the token."""
        return CloudHook(self.cloud_conn_id)

    @property
    def dataset(self) -> PowerBI:
        """Where it is; ConnectionIncomplete when the Connection does not say."""
        found = self.cloud.profile.power_bi
        if found is None:
            raise ConnectionIncomplete(self.cloud_conn_id, "lacks 'power_bi' {endpoint, audience, group_id, dataset_id} in its extra")
        return found

    def history(self) -> list[dict[str, Any]]:
        """Refreshes that the service remembers, oldest first."""
        answer = self._send("GET", f"?$top={HISTORY}").json()
        try:
            return sorted(answer["value"], key=lambda entry: _time(entry["startTime"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedReply(f"Power BI's refresh history cannot be read ({error!r}): {str(answer)[:200]}") from error

    def start(self) -> str:
        """Begin a refresh, after one that runs has ended; gives its id."""
        for _ in range(BUSY_TRIES):
            answer = self._send("POST", body={"notifyOption": "NoNotification"}, allowed="RefreshInProgressException")
            if answer.is_success:
                return str(answer.headers["RequestId"])
            time.sleep(BUSY_PAUSE)
        raise ServiceError("Power BI is busy with an older refresh of the dataset and does not end it: look at its refresh history")

    def cancel(self, request_id: str) -> None:
        """Stop a refresh (the service does so for enhanced refreshes)."""
        self._send("DELETE", f"/{request_id}")

    def _send(self, method: str, path: str = "", body: Any = None, allowed: str | None = None) -> "httpx.Response":
        import httpx

        said = self.dataset
        url = f"{said.endpoint.rstrip('/')}/v1.0/myorg/groups/{said.group_id}/datasets/{said.dataset_id}/refreshes"
        with clearly(f"Power BI (dataset {said.dataset_id})", self.cloud_conn_id, said.endpoint):
            headers = {"Authorization": f"Bearer {self.cloud.token(f'{said.audience}/.default')}"}
            with httpx.Client(verify=self.cloud.profile.ssl_context(), timeout=30, headers=headers, trust_env=False) as client:
                answer = client.request(method, url + path, json=body)
            if not (allowed and allowed in answer.text):
                answer.raise_for_status()
        return answer


class Refreshes:
    """Refreshes of the dataset as jobs. Job `<base>-<n>` is the n-th refresh that began at or after `since` (ISO 8601): whoever began it,
    it shows what was written before `since`. The service takes no id and no key of ours.
    """

    def __init__(self, since: str, cloud_conn_id: str = CLOUD, request_ids: Mapping[str, str] | None = None) -> None:
        self.since = since
        self.cloud_conn_id = cloud_conn_id
        self.request_ids = dict(request_ids or {})

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What builds the same object elsewhere; the service's ids that are known travel along."""
        return {"since": self.since, "cloud_conn_id": self.cloud_conn_id, "request_ids": self.request_ids}

    @cached_property
    def hook(self) -> PowerBIHook:
        """The dataset."""
        return PowerBIHook(self.cloud_conn_id)

    def find(self, job_id: str) -> JobState | None:
        """The job's refresh, or None."""
        since, number = _time(self.since), int(job_id.rpartition("-")[2])
        later = [entry for entry in self.hook.history() if _time(entry["startTime"]) >= since]
        known = self.request_ids.get(job_id)
        found = next((entry for entry in later if known and entry.get("requestId") == known), None)
        if found is None and known is None and number < len(later):
            found = later[number]
        if found is None:
            return None
        self.request_ids[job_id] = str(found["requestId"])
        return self._state(job_id, found)

    def start(self, job_id: str) -> None:
        """Begin a refresh unless there is one."""
        if self.find(job_id) is None:
            self.request_ids[job_id] = self.hook.start()

    def state(self, job_id: str) -> JobState:
        """How the refresh stands; UnexpectedReply when it left the history."""
        found = self.find(job_id)
        if found is None:
            raise UnexpectedReply(f"Power BI's refresh history does not have {job_id} any more: clear the task, it begins a new refresh")
        return found

    def cancel(self, job_id: str) -> None:
        """Stop the refresh if it runs."""
        found = self.find(job_id)
        if found and not found.status.over:
            self.hook.cancel(self.request_ids[job_id])

    def _state(self, job_id: str, entry: Mapping[str, Any]) -> JobState:
        status = job_status(entry.get("status"), STATUSES, "Power BI", job_id)
        said = self.hook.dataset
        link = f"https://app.powerbi.com/groups/{said.group_id}/datasets/{said.dataset_id}/details"
        return JobState(job_id, status, entry.get("serviceExceptionJson"), self.request_ids[job_id], link)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
