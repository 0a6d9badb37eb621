"""What must not reach the users: each is Failed with its reason, the canary goes, the stable scorer stays."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from include.domain import naming
from include.domain.rollout import Verdict
from include.standin.home import Home
from include.standin.serving import client_context
from tests.include.rollout.site import WORKLOAD, Bench, digest, hex_of

STABLE = naming.scorer(WORKLOAD)
MAIN, GOLDEN = "/app/include/scoring/__main__.py", "/model/golden.parquet"
SHORT = {"ready_seconds": 3}


def failed(bench: Bench, release: str, **judge: float) -> str:
    """Roll a release out that must fail; gives the reasons."""
    found = bench.roll_out(release, judge={**bench.values["judge"], **judge})
    assert found.verdict == Verdict.FAILED
    return "; ".join(found.reasons)


@pytest.fixture(scope="module")
def served(standin_bench: Bench, first: str) -> Bench:
    """A site that serves the first release, which no test of this file may change."""
    standin_bench.clear()
    standin_bench.roll_out(first)
    return standin_bench


def stable_pods(bench: Bench) -> set[str]:
    return {one.metadata.name for one in bench.core.list_namespaced_pod(bench.namespace, label_selector="edgeloop.io/role=stable").items}


@pytest.fixture
def site(served: Bench, first: str) -> Iterator[Bench]:
    pods = stable_pods(served)
    yield served
    after = served.outcome()
    assert after["deployments"] == {STABLE: first}
    assert after["services"] == [STABLE]
    assert after["approved"] == [hex_of(first)]
    assert served.served() == digest(first)
    assert pods <= stable_pods(served), "the stable scorer was not even restarted"


def test_an_unsigned_image_runs_nowhere(site: Bench) -> None:
    assert "signature: " in failed(site, site.releases.make("unsigned", signed=None))
    assert site.state.current != site.state.release


def test_an_image_signed_by_another_key_runs_nowhere(site: Bench) -> None:
    release = site.releases.make("forged", signed=ec.generate_private_key(ec.SECP256R1()))
    said = site.step("canary", release)
    assert (said.verdict, said.step) == (Verdict.FAILED, "canary")
    assert said.reasons[0].startswith("signature: ")
    assert [one.metadata.name for one in site.deployments()] == [STABLE], "nothing was started"
    site.step("finish", release)


def test_an_image_that_is_not_there(site: Bench) -> None:
    release = f"{site.releases.registry.host}/edgeloop/wind-power@sha256:{'0' * 64}"
    assert "404" in failed(site, release)


def test_an_image_that_cannot_be_pulled(site: Bench, embedded_site: Home) -> None:
    release = site.releases.make("lost")
    manifest = site.releases.registry.manifest("edgeloop/wind-power", digest(release))
    lost = manifest.layers[-1].digest.removeprefix("sha256:")
    for file in (embedded_site.folder("container_registry") / "releases" / "blobs").rglob(lost):
        Path(file).unlink()
    said = failed(site, release)
    assert said.startswith("wind-power-scorer-canary is not ready: ")
    assert "ImagePull" in said


def test_a_program_that_ends_at_once(site: Bench) -> None:
    release = site.releases.make("ends", {MAIN: b"raise SystemExit(7)"})
    said = failed(site, release)
    assert "CrashLoopBackOff" in said
    assert "exit code 7" in said


def test_a_program_that_never_answers(site: Bench) -> None:
    release = site.releases.make("sleeps", {MAIN: b"import time; time.sleep(600)"})
    assert "container scorer of wind-power-scorer-canary" in failed(site, release, **SHORT)


def test_a_model_layer_without_golden_rows_is_not_trusted(site: Bench) -> None:
    found = site.roll_out(site.releases.make("no golden", {GOLDEN: None}))
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "no golden row was compared" in found.reasons[0]


def test_golden_rows_that_cannot_be_read(site: Bench) -> None:
    assert "model/golden.parquet of the model layer cannot be read" in failed(site, site.releases.make("x", {GOLDEN: b"no"}))


def test_a_stable_scorer_that_fails_after_a_good_canary_is_returned(site: Bench, first: str) -> None:
    """Ships, so breaks: only the stable role runs into it. The old pod serves all the time."""
    program = b"import os\nif os.environ['EDGELOOP_SHIP'] == 'true': raise SystemExit(9)\nfrom include.scoring.again import main\nmain()\n"
    release = site.releases.make("breaks", {MAIN: program, "/app/include/scoring/again.py": _program().encode()})
    said = failed(site, release)
    assert "wind-power-scorer is not ready: CrashLoopBackOff" in said
    assert f"returned to {first}" in said
    assert site.state.current == first


@contextlib.contextmanager
def _down(home: Home) -> Iterator[None]:
    with httpx.Client(base_url=home.url("releases"), verify=client_context(home)) as registry:
        registry.put("/_faults", json={"path": "^/v2/", "status": 503, "count": 1000}).raise_for_status()
        try:
            yield
        finally:
            registry.delete("/_faults").raise_for_status()


def _program() -> str:
    from include.scoring import __main__

    return Path(str(__main__.__file__)).read_text(encoding="utf-8")


def test_a_registry_that_does_not_answer_is_no_verdict(site: Bench, embedded_site: Home) -> None:
    """The step breaks and is tried again: a release is not bad because a registry is down."""
    release = site.releases.make("waits")
    with _down(embedded_site):
        code, said = site.run("canary", release)
    assert code == 1, said
    assert "canary broke and may be tried again" in said
    assert site.state.verdict is None
    site.step("finish", release)
