"""Which release goes out, and what the sites' states come to."""

import json
import uuid

import pytest
from airflow.sdk.exceptions import AirflowFailException

from edgeloop import ledger
from edgeloop.exceptions import NothingToDo
from edgeloop.stages import roll_out
from include.rollout import state
from include.rollout.cluster import Cluster
from include.rollout.state import State
from tests.include.rollout.conftest import embedded_site, standin_bench  # noqa: F401 - fixtures
from tests.include.rollout.site import WORKLOAD, Bench

OLD, NEW = f"r:1/edgeloop/wind-power@sha256:{'0' * 64}", f"r:1/edgeloop/wind-power@sha256:{'1' * 64}"


@pytest.fixture
def digest(lake) -> str:
    return f"sha256:{uuid.uuid4().hex * 2}"


@pytest.fixture
def told(standin_bench: Bench, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    """Makes a site (a namespace of the one cluster) say a state."""
    made: list[tuple[Cluster, str]] = []

    def tell(site: str, said: State | None) -> None:
        namespace = f"site-{site}-{uuid.uuid4().hex[:6]}"
        standin_bench.core.create_namespace({"metadata": {"name": namespace}})
        extra = {"kube_config": standin_bench.admin_kubeconfig.read_text(), "namespace": namespace}
        monkeypatch.setenv(f"AIRFLOW_CONN_EDGELOOP_SITE_{site.upper()}", json.dumps({"conn_type": "kubernetes", "extra": extra}))
        cluster = Cluster(namespace, standin_bench.admin)
        made.append((cluster, namespace))
        if said is not None:
            state.save(cluster, WORKLOAD, said)

    yield tell
    for _, namespace in made:
        standin_bench.core.delete_namespace(namespace)


def good(**change) -> State:
    return State(**({"release": NEW, "step": "finish", "current": NEW, "previous": OLD, "verdict": "Successful"} | change))


def test_only_what_was_promoted_goes_out(digest: str) -> None:
    with pytest.raises(NothingToDo, match="no release named"):
        roll_out.plan(WORKLOAD, None)
    with pytest.raises(NothingToDo, match=f"{digest} is no release of wind_power"):
        roll_out.plan(WORKLOAD, digest)
    ledger.record(WORKLOAD, digest, "release", {"reference": f"r:1/edgeloop/wind-power@{digest}"})
    assert roll_out.plan(WORKLOAD, digest) == {"digest": digest, "release": f"r:1/edgeloop/wind-power@{digest}"}


def test_a_wave_that_took_it(told) -> None:
    for site in ("north", "south"):
        told(site, good())
    assert roll_out.verdict(WORKLOAD, ["north", "south"], NEW) == {"north": "Successful", "south": "Successful"}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (None, "the rollout was not started there: see the canary's log"),
        (good(release=OLD), "the rollout was not started there: see the canary's log"),
        (good(step="begun", verdict=None), "the rollout stopped after begun: see the log of the step after it"),
        (good(step="judge"), "the rollout stopped after judge: see the log of the step after it"),
        (good(verdict="Failed", reasons=("a golden row is off by 7", "x")), "Failed: a golden row is off by 7; x"),
        (good(verdict="Inconclusive", reasons=("frozen",)), "Inconclusive: frozen"),
        (good(current=OLD), f"Successful, but the site serves {OLD}: another rollout or a roll-back came after it"),
    ],
)
def test_the_verdict_names_the_failed_sites_and_why(told, said: State | None, reason: str) -> None:
    told("north", good())
    told("south", said)
    with pytest.raises(AirflowFailException) as failed:
        roll_out.verdict(WORKLOAD, ["north", "south"], NEW)
    assert str(failed.value).startswith(f"site south: {reason}. Later waves are not started.")
    assert "north" not in str(failed.value)


def test_every_failed_site_is_named(told) -> None:
    for site in ("north", "south"):
        told(site, good(verdict="Failed", reasons=("no",)))
    with pytest.raises(AirflowFailException, match="site north: Failed: no; site south: Failed: no"):
        roll_out.verdict(WORKLOAD, ["north", "south"], NEW)


def test_a_return_is_recorded_with_its_reason(told, lake) -> None:
    told("north", good())
    assert roll_out.current(WORKLOAD, "north") == {"site": "north", "release": NEW}
    told("north", State(NEW, "roll-back", current=OLD, verdict="Successful", reasons=(f"returned to {OLD}",)))
    returned = roll_out.record_return(WORKLOAD, "north", NEW, "users complain")
    assert returned == {"digest": OLD.rpartition("@")[2], "site": "north"}
    kept = ledger.read(WORKLOAD, returned["digest"], "roll-back-north")
    assert kept is not None
    assert (kept["left"], kept["serves"], kept["reason"]) == (NEW, OLD, "users complain")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (State(NEW, "roll-back", current=NEW, verdict="Failed", reasons=("there is no image",)), "there is no image"),
        (State(NEW, "roll-back", current=NEW, previous=OLD), "the roll-back did not end: see its log"),
        (good(), "the roll-back did not end: see its log"),
        (None, "the site has no state of a rollout"),
    ],
)
def test_a_return_that_did_not_happen_is_not_recorded(told, said: State | None, reason: str) -> None:
    told("north", said)
    with pytest.raises(AirflowFailException, match=reason):
        roll_out.record_return(WORKLOAD, "north", NEW, "why")


@pytest.mark.parametrize("said", [None, State(NEW, "finish", verdict="Failed")])
def test_a_site_that_serves_nothing_has_nothing_to_leave(told, said: State | None) -> None:
    told("north", said)
    with pytest.raises(NothingToDo, match="site north serves no release of wind_power"):
        roll_out.current(WORKLOAD, "north")
