"""The four acts of a rollout. Each carries out what the state and the request say, and leaves the state for the next."""

from dataclasses import replace
from datetime import UTC, datetime

from include.domain.rollout import Judgement, Verdict, frozen_until, judge
from include.oci.exceptions import DigestMismatch, NotFound, NotTrusted
from include.rollout import evidence, scorer, state
from include.rollout.cluster import Cluster, NotReady
from include.rollout.release import Release, ReleaseInvalid
from include.rollout.request import Request
from include.rollout.state import State


def canary(cluster: Cluster, request: Request) -> State:
    """Verify the signature, approve the digest, bring the canary up."""
    current, previous = scorer.running(cluster, request)
    # Written first: a verdict of an earlier rollout of this release must not be taken for this one's.
    here = _save(cluster, request, State(request.release, "begun", current=current, previous=previous))
    frozen = frozen_until(datetime.now(UTC), request.freeze)
    if current == request.release:
        here = _again(cluster, request, here, frozen)
    elif frozen:
        here = _no(here, Verdict.INCONCLUSIVE, f"the site is frozen until {frozen} UTC: clear this site's tasks then")
    else:
        here = _bring_canary(cluster, request, here)
    return _save(cluster, request, replace(here, step="canary"))


def assess(cluster: Cluster, request: Request) -> State:
    """Replay golden rows and recorded requests; the verdict is the domain's."""
    here = _of(cluster, request)
    if here.verdict is not None or here.step != "canary":
        return here
    try:
        seen = evidence.collect(cluster, request)
    except ReleaseInvalid as error:
        return _save(cluster, request, replace(_no(here, Verdict.FAILED, str(error)), step="judge"))
    judged = replace(here, step="judge", evidence=evidence.plain(seen)).judged(judge(seen, request.limits))
    return _save(cluster, request, judged)


def finish(cluster: Cluster, request: Request) -> State:
    """Promote the digest, or leave the stable scorer as it is; the canary goes either way."""
    here = _of(cluster, request)
    if here.verdict is None:
        here = _no(
            here,
            Verdict.INCONCLUSIVE,
            f"nobody judged the canary: the rollout's last step was '{here.step}'; see the log of the one after it",
        )
    if here.verdict == Verdict.SUCCESSFUL and here.step == "judge":
        here = _promote(cluster, request, here)
    cluster.delete_scorer(request.canary)
    scorer.withdraw(cluster, request)
    return _save(cluster, request, replace(here, step="finish"))


def roll_back(cluster: Cluster, request: Request) -> State:
    """Return the stable scorer to the image before `request.release`, which was approved when it came."""
    here = state.load(cluster, request.workload)
    if here is None or (here.release, here.step, here.verdict) != (request.release, "roll-back", None):
        current, previous = scorer.running(cluster, request)
        here = State(request.release, "roll-back", current=current, previous=previous)
        if current != request.release:
            return _save(cluster, request, _yes(here, f"the site serves {current or 'nothing'} already"))
        if not previous:
            return _save(cluster, request, _no(here, Verdict.FAILED, "there is no image before this one to return to"))
        here = _save(cluster, request, here)  # a rerun after a crash knows by it what to return to
    left, to = here.current, here.previous
    wrong = scorer.replace(cluster, request, to, previous="", old=left, before_old=to)
    if wrong:
        return _save(cluster, request, _no(here, Verdict.FAILED, *wrong))
    scorer.withdraw(cluster, request)
    return _save(cluster, request, _yes(replace(here, current=to, previous=""), f"returned to {to}"))


def _again(cluster: Cluster, request: Request, here: State, frozen: str | None) -> State:
    """The site runs the release: apply the values of today, which may have changed, unless the site is frozen."""
    if frozen:
        return _yes(here, "the site serves it already")
    try:
        scorer.bring(cluster, request, request.release, role="stable", previous=here.previous)
    except NotReady as error:
        return _no(here, Verdict.FAILED, f"the site runs it already, but {error}")
    return _yes(here, "the site serves it already")


def _bring_canary(cluster: Cluster, request: Request, here: State) -> State:
    try:
        Release(cluster, request.release).verify()
    except (NotTrusted, NotFound, DigestMismatch) as error:  # a registry that does not answer is no verdict: the step is tried again
        return _no(here, Verdict.FAILED, f"signature: {error}")
    scorer.approve(cluster, request.release)
    try:
        scorer.bring(cluster, request, request.release, role="canary")
    except NotReady as error:
        cluster.delete_scorer(request.canary)
        return _no(here, Verdict.FAILED, str(error))
    return here


def _promote(cluster: Cluster, request: Request, here: State) -> State:
    """From what the canary's state says was there: the cluster may hold half of an earlier attempt."""
    before = here.current
    wrong = scorer.replace(cluster, request, request.release, previous=before, old=before, before_old=here.previous)
    return _no(here, Verdict.FAILED, *wrong) if wrong else replace(here, current=request.release, previous=before)


def _of(cluster: Cluster, request: Request) -> State:
    """The state of this very release; another's is not ours to go on with."""
    found = state.load(cluster, request.workload)
    if found is None or found.release != request.release:
        current, previous = scorer.running(cluster, request)
        return State(request.release, "none", current=current, previous=previous)
    return found


def _yes(here: State, reason: str) -> State:
    return here.judged(Judgement(Verdict.SUCCESSFUL, (reason,)))


def _no(here: State, verdict: Verdict, *reasons: str) -> State:
    return here.judged(Judgement(verdict, reasons))


def _save(cluster: Cluster, request: Request, here: State) -> State:
    return state.save(cluster, request.workload, here)
