"""The steps against a cluster, a node and a registry: what each leaves behind, and that it may be run again."""

from include.domain import naming
from include.domain.rollout import Verdict
from tests.include.rollout.site import WIND, WORKLOAD, Bench, digest, hex_of
from tests.include.standin.node.site import wait

STABLE, CANARY = naming.scorer(WORKLOAD), naming.canary(WORKLOAD)


def test_the_first_release_is_brought_by_the_real_program(bench: Bench, first: str) -> None:
    for step in ("canary", "judge", "finish"):
        code, said = bench.run(step, first)
        assert code == 0, said
    assert "north: Successful" in said
    assert bench.served() == digest(first)
    found = bench.outcome()
    assert found["deployments"] == {STABLE: first}
    assert found["services"] == [STABLE]
    assert found["approved"] == [hex_of(first)]
    assert (found["state"].current, found["state"].previous, found["state"].step) == (first, "", "finish")
    assert bench.state.evidence["golden_rows"] == 40
    assert bench.state.evidence["golden_worst"] < 0.01


def test_the_second_replaces_it_and_keeps_what_it_replaced(bench: Bench, first: str, second: str) -> None:
    bench.roll_out(first)
    with bench.reach(bench.cluster.service_url(STABLE)) as users:
        assert users.post("/score", json={"records": [WIND, WIND]}).status_code == 200
    found = bench.roll_out(second)
    assert (found.verdict, found.reasons) == (Verdict.SUCCESSFUL, ())
    assert bench.state.evidence["replay"]["rows"] == bench.state.evidence["replay"]["agreeing_rows"] == 2
    assert (found.current, found.previous) == (second, first)
    assert bench.served() == digest(second)
    assert bench.outcome()["approved"] == sorted(map(hex_of, (first, second)))


def test_a_model_that_answers_off_its_golden_rows_is_failed(bench: Bench, first: str) -> None:
    bench.roll_out(first)
    bad = bench.releases.make("bad", off=7.0)
    found = bench.roll_out(bad)
    assert found.verdict == Verdict.FAILED
    assert found.reasons[0].startswith("a golden row is off by 7, allowed is 0.5")
    assert bench.served() == digest(first)
    after = bench.outcome()
    assert after["deployments"] == {STABLE: first}
    assert after["approved"] == [hex_of(first)], "a release that failed is no longer approved"


def test_steps_run_twice_end_in_the_same_state(bench: Bench, first: str, second: str) -> None:
    bench.roll_out(first)
    seen = {}
    for step in ("canary", "judge", "finish"):
        bench.step(step, second)
        seen[step] = bench.outcome()
        bench.step(step, second)
        assert bench.outcome() == seen[step], step
    assert seen["finish"]["deployments"] == {STABLE: second}
    assert seen["canary"]["deployments"] == {STABLE: first, CANARY: second}


def test_the_same_release_again_brings_the_values_of_today(bench: Bench, first: str) -> None:
    bench.roll_out(first)
    found = bench.roll_out(first, replicas=2)
    assert (found.verdict, found.reasons) == (Verdict.SUCCESSFUL, ("the site serves it already",))
    assert bench.outcome()["deployments"] == {STABLE: first}
    (stable,) = bench.deployments()
    assert stable.status.available_replicas == 2


def test_users_reach_the_stable_scorer_as_the_values_of_the_site_say(bench: Bench, first: str, second: str) -> None:
    bench.roll_out(first, service={"type": "NodePort"})
    bench.step("canary", second, service={"type": "NodePort"})
    kinds = {one.metadata.name: one.spec.type for one in bench.core.list_namespaced_service(bench.namespace).items}
    assert kinds == {STABLE: "NodePort", CANARY: "ClusterIP"}
    (port,) = bench.core.read_namespaced_service(STABLE, bench.namespace).spec.ports
    with bench.reach(f"http://127.0.0.1:{port.node_port}") as users:
        assert wait("an answer", lambda: users.get("/v2").json())["name"]
    bench.step("finish", second)
    bench.roll_out(first)
    service = bench.core.read_namespaced_service(STABLE, bench.namespace)
    assert (service.spec.type, service.spec.ports[0].node_port) == ("ClusterIP", None)


def test_a_frozen_site_is_left_alone(bench: Bench, first: str) -> None:
    found = bench.roll_out(first, freeze=["00:00-24:00"])
    assert found.verdict == Verdict.INCONCLUSIVE
    assert found.reasons == ("the site is frozen until 24:00 UTC: clear this site's tasks then",)
    assert bench.deployments() == []
    assert bench.outcome()["approved"] == []


def test_a_freeze_window_that_nobody_can_read_stops_the_program(bench: Bench, first: str) -> None:
    code, said = bench.run("canary", first, freeze=["8-9"])
    assert code == 2
    assert "freeze window '8-9' is not hh:mm-hh:mm" in said
    assert bench.deployments() == []


def test_roll_back_returns_and_may_be_run_again(bench: Bench, first: str, second: str) -> None:
    bench.roll_out(first)
    nowhere = bench.step("roll-back", first)
    assert (nowhere.verdict, nowhere.reasons) == (Verdict.FAILED, ("there is no image before this one to return to",))
    bench.roll_out(second)
    assert bench.step("roll-back", second).verdict == Verdict.SUCCESSFUL
    assert bench.served() == digest(first)
    after = bench.outcome()
    assert after["deployments"] == {STABLE: first}
    assert after["approved"] == [hex_of(first)]
    again = bench.step("roll-back", second)
    assert (again.verdict, again.reasons) == (Verdict.SUCCESSFUL, (f"the site serves {first} already",))
    # The release comes once more, but its canary's pod is lost: what was Successful then, and returned from, is not promoted now.
    assert bench.step("finish", second).current == first
    assert bench.outcome()["deployments"] == {STABLE: first}


def test_without_a_judge_nothing_is_promoted(bench: Bench, first: str) -> None:
    bench.step("canary", first)
    found = bench.step("finish", first)
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "nobody judged the canary: the rollout's last step was 'canary'" in found.reasons[0]
    assert bench.deployments() == []
    assert CANARY not in bench.outcome()["services"]
