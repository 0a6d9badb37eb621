"""Run by test_crash: drains that are killed before or after every single call to storage, then a drain that is not.

Forks, so that Python and the SDKs are imported once. Reads its site as JSON from stdin, prints one JSON line a case.
"""

import json
import os
import signal
import sys
import time
from typing import Any

from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient
from conftest_of_border import API, POLICY, Site, make_event

from include.border import drain as draining

draining.VISIBILITY = 1


class Mortal:
    """A client in a process that is killed before, or after, its n-th call, whichever of the clients that call is for."""

    calls = 0
    dies_at = 0
    before = True

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return (
            self._watched(found)
            if name in ("upload_blob", "download_blob", "list_blobs", "receive_messages", "send_message", "delete_message")
            else found
        )

    def _watched(self, call: Any) -> Any:
        def watched(*rest: Any, **more: Any) -> Any:
            Mortal.calls += 1
            mine = Mortal.calls == Mortal.dies_at
            if mine and Mortal.before:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = call(*rest, **more)
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return watched


def open_site(said: dict[str, Any], workload: str) -> Site:
    def queue(name: str) -> QueueClient:
        credential = {"account_name": said["site_account"], "account_key": said["accounts"][said["site_account"]]}
        return QueueClient(said["queue_url"], name, credential=credential, api_version=API, connection_verify=said["ca"])

    def container(name: str) -> ContainerClient:
        credential = {"account_name": said["lake_account"], "account_key": said["accounts"][said["lake_account"]]}
        return ContainerClient(said["blob_url"], name, credential=credential, api_version=API, connection_verify=said["ca"])

    return Site(workload, queue(workload), queue(f"{workload}-poison"), container("compliant"), container("lake"), "", "", {}, "")


def mortal(site: Site) -> Site:
    return Site(site.workload, Mortal(site.queue), Mortal(site.poison), Mortal(site.container), site.lake, "", "", {}, "")


def killed(said: dict[str, Any], workload: str, dies_at: int, before: bool) -> bool:
    """Drain in a fork; whether it was killed."""
    child = os.fork()
    if child == 0:
        Mortal.dies_at, Mortal.before = dies_at, before
        mortal(open_site(said, workload)).drain()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def case(said: dict[str, Any], dies_at: int, before: bool) -> dict[str, Any]:
    workload = f"{said['workload']}{dies_at}{'b' if before else 'a'}"
    site = open_site(said, workload)
    site.queue.create_queue()
    site.poison.create_queue()
    good = [make_event(workload) for _ in range(3)]
    bad, refused = make_event(workload, type="edgeloop.other"), make_event(workload, jurisdiction="DE")
    site.send(*good[:2], bad)
    site.send(good[1], good[2], refused)
    was_killed = killed(said, workload, dies_at, before)
    deadline = time.monotonic() + 60
    while site.left() and time.monotonic() < deadline:
        killed(said, workload, 0, True)
        if site.left():
            time.sleep(0.3)  # what the killed one holds is invisible for a second
    found = {
        "case": f"killed {'before' if before else 'after'} call {dies_at}",
        "killed": was_killed,
        "left": site.left(),
        "stored": sorted(row["id"] for row in site.stored()) == sorted(event["id"] for event in good),
        "refused": site.refused(),
        "poisoned": sorted({poison["event"]["id"] for poison in site.poisoned()}) == [bad["id"]],
    }
    site.queue.delete_queue()
    site.poison.delete_queue()
    return found


def main() -> None:
    said = json.load(sys.stdin)
    dies_at = 1
    while True:
        results = [case(said, dies_at, before) for before in (True, False)]
        for result in results:
            print(json.dumps(result), flush=True)
        if not results[0]["killed"]:
            return  # there are not so many calls
        dies_at += 1


if __name__ == "__main__":
    assert POLICY.fields
    main()
