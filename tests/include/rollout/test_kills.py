"""The program is killed in the middle of a step, as a node that fails does it; the step run again ends as if nothing had been."""

import signal
from collections.abc import Callable

import pytest

from include.domain import naming
from include.domain.rollout import Verdict
from tests.include.rollout.site import WORKLOAD, Bench, digest, hex_of
from tests.include.standin.node.site import wait

STABLE, CANARY = naming.scorer(WORKLOAD), naming.canary(WORKLOAD)
Moment = Callable[[Bench, str], bool]


def begun(bench: Bench, release: str) -> bool:
    return bench.state is not None and (bench.state.release, bench.state.step) == (release, "begun")


def approved(bench: Bench, release: str) -> bool:
    return hex_of(release) in bench.outcome()["approved"]


def applied(name: str) -> Moment:
    return lambda bench, release: bench.outcome()["deployments"].get(name) == release


def canary_gone(bench: Bench, release: str) -> bool:
    return CANARY not in bench.outcome()["deployments"]


def kill(bench: Bench, step: str, release: str, moment: Moment) -> None:
    """Start the real program and kill it as soon as the moment is seen."""
    process = bench.start(step, release)
    try:
        wait(f"the moment in {step}", lambda: moment(bench, release) or process.poll() is not None)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)


def served_alone(bench: Bench, release: str, previous: str) -> None:
    found = bench.outcome()
    assert found["deployments"] == {STABLE: release}
    assert found["services"] == [STABLE]
    assert found["approved"] == sorted(map(hex_of, filter(None, (release, previous))))
    assert (found["state"].verdict, found["state"].current, found["state"].previous) == (Verdict.SUCCESSFUL, release, previous)
    assert bench.served() == digest(release)


@pytest.mark.parametrize("moment", [begun, approved, applied(CANARY)], ids=["begun", "approved", "applied"])
def test_canary(bench: Bench, first: str, moment: Moment) -> None:
    kill(bench, "canary", first, moment)
    assert bench.state.verdict is None
    bench.roll_out(first)
    served_alone(bench, first, "")


@pytest.mark.parametrize("moment", [applied(STABLE), canary_gone], ids=["stable applied", "canary gone"])
def test_finish(bench: Bench, first: str, second: str, moment: Moment) -> None:
    bench.roll_out(first)
    bench.step("canary", second)
    bench.step("judge", second)
    kill(bench, "finish", second, moment)
    bench.step("finish", second)
    served_alone(bench, second, first)


def test_finish_and_then_all_over_again(bench: Bench, first: str, second: str) -> None:
    """Somebody clears the canary's task and not the one that was killed."""
    bench.roll_out(first)
    bench.step("canary", second)
    bench.step("judge", second)
    kill(bench, "finish", second, applied(STABLE))
    bench.roll_out(second)
    served_alone(bench, second, first)


def test_a_canary_that_was_lost_is_removed_and_nothing_else_happens(bench: Bench, first: str, second: str) -> None:
    """Airflow gave the canary up, and runs `finish` whatever came before."""
    bench.roll_out(first)
    kill(bench, "canary", second, applied(CANARY))
    found = bench.step("finish", second)
    assert found.verdict == Verdict.INCONCLUSIVE
    assert bench.outcome()["deployments"] == {STABLE: first}
    assert bench.outcome()["approved"] == [hex_of(first)]


def test_roll_back(bench: Bench, first: str, second: str) -> None:
    bench.roll_out(first)
    bench.roll_out(second)
    kill(bench, "roll-back", second, applied_first(first))
    assert bench.step("roll-back", second).verdict == Verdict.SUCCESSFUL
    served_alone(bench, first, "")


def applied_first(first: str) -> Moment:
    return lambda bench, _: bench.outcome()["deployments"].get(STABLE) == first


def test_a_politely_stopped_program_ends_at_once(bench: Bench, first: str) -> None:
    process = bench.start("canary", first)
    wait("the rollout to begin", lambda: begun(bench, first))
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
