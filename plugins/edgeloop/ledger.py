"""The ledger: what was decided, by which facts, for whom to read later. JSON blobs in the lake, a folder a subject.

`<workload>/ledger/<subject>/<step>.json`; a subject is the id that the events carry (request id, snapshot hash, release digest).
A step that is done again writes the same facts to the same place.
"""

import json
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any

from edgeloop.hooks.lake import LakeHook

Facts = dict[str, Any]


def _blob(workload: str, subject: str, step: str) -> str:
    return f"{workload}/ledger/{subject.replace(':', '-')}/{step}.json"


def record(workload: str, subject: str, step: str, facts: Any) -> str:
    """Write the facts of a step (a dict or a dataclass) with the time; gives the blob's URL."""
    plain = asdict(facts) if is_dataclass(facts) and not isinstance(facts, type) else dict(facts)
    entry = {
        "workload": workload,
        "subject": subject,
        "step": step,
        "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **plain,
    }
    return LakeHook().write(_blob(workload, subject, step), json.dumps(entry, indent=1, default=str).encode(), "application/json")


def read(workload: str, subject: str, step: str) -> Facts | None:
    """The facts of a step, or None when it was not done."""
    found = LakeHook().read_or_none(_blob(workload, subject, step))
    return json.loads(found) if found else None


def subjects(workload: str) -> list[str]:
    """Every subject that has an entry."""
    prefix = f"{workload}/ledger/"
    names = {blob.name.removeprefix(prefix).split("/")[0] for blob in LakeHook().blobs(prefix)}
    return sorted(name.replace("sha256-", "sha256:") for name in names)
