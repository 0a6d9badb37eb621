"""Stage 5: which release goes to the sites, what came of it there, and what the ledger keeps."""

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from edgeloop import ledger
from edgeloop.exceptions import NothingToDo
from edgeloop.hooks.site import RolloutState, SiteHook
from include.domain.rollout import Verdict


def plan(workload: str, digest: str | None) -> dict[str, str]:
    """Digest and full reference (`registry/repository@digest`) of the release to bring."""
    if not digest:
        raise NothingToDo("no release named: enter a Release digest, or give the run one as its partition key")
    released = ledger.read(workload, digest, "release")
    if released is None:
        raise NothingToDo(f"{digest} is no release of {workload}: the ledger has no entry for it. Only promote makes releases.")
    return {"digest": digest, "release": released["reference"]}


def verdict(workload: str, sites: list[str], release: str) -> dict[str, Any]:
    """The wave's verdicts by site; AirflowFailException names the sites that did not take the release, so that later waves do not start."""
    found = {site: _outcome(workload, site, release) for site in sites}
    failed = {site: why for site, why in found.items() if why != str(Verdict.SUCCESSFUL)}
    if failed:
        told = "; ".join(f"site {site}: {why}" for site, why in failed.items())
        raise AirflowFailException(f"{told}. Later waves are not started. Mend the site and clear its tasks, or release another model.")
    return found


def record(workload: str, digest: str, sites: list[str]) -> dict[str, Any]:
    """Keep that every site serves the digest."""
    ledger.record(workload, digest, "deployment", {"sites": sites})
    return {"digest": digest, "sites": sites}


def current(workload: str, site: str) -> dict[str, str]:
    """The image that the site serves now, for a roll-back to leave."""
    state = SiteHook(site).rollout_state(workload)
    if state is None or not state.current:
        raise NothingToDo(f"site {site} serves no release of {workload}: there is nothing to return from")
    return {"site": site, "release": state.current}


def record_return(workload: str, site: str, left: str, reason: str) -> dict[str, Any]:
    """Keep what the site returned to; AirflowFailException when it did not."""
    state = SiteHook(site).rollout_state(workload)
    if state is None or state.step != "roll-back" or state.release != left or state.verdict != Verdict.SUCCESSFUL:
        raise AirflowFailException(f"site {site} did not return from {left}: {_why_not_returned(state)}")
    digest = state.current.rpartition("@")[2]
    facts = {"site": site, "left": left, "serves": state.current, "reason": reason}
    ledger.record(workload, digest, f"roll-back-{site}", facts)
    return {"digest": digest, "site": site}


def _why_not_returned(state: RolloutState | None) -> str:
    if state is None:
        return "the site has no state of a rollout"
    if state.step != "roll-back" or state.verdict is None:
        return "the roll-back did not end: see its log"
    return "; ".join(state.reasons)


def _outcome(workload: str, site: str, release: str) -> str:
    state = SiteHook(site).rollout_state(workload)
    if state is None or state.release != release:
        return "the rollout was not started there: see the canary's log"
    if state.step != "finish":
        return f"the rollout stopped after {state.step}: see the log of the step after it"
    if state.verdict != Verdict.SUCCESSFUL:
        return f"{state.verdict}: {'; '.join(state.reasons)}"
    if state.current != release:
        return f"{state.verdict}, but the site serves {state.current}: another rollout or a roll-back came after it"
    return str(state.verdict)
