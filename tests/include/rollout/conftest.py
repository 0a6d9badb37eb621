"""One embedded site for all tests of the rollout: API server, node agent, registries, set up as an administrator does it."""

import random
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from include.oci.client import Registry
from include.oci.reference import Reference
from include.rollout.set_up import set_up
from include.standin import container_registry, signing, sites
from include.standin.connections import connections, services
from include.standin.home import Home, free_port_base
from include.standin.kubernetes import kubeconfig
from include.standin.serving import Background, create_app
from tests.include.rollout.site import NAMESPACE, Bench, Releases, private_key
from tests.include.standin.node.planes import standin_plane
from tests.include.standin.node.site import Site, wait


def releases(home: Home) -> Releases:
    login = (home.identity.registry_user, home.identity.registry_password, home.ca)
    base = Reference.parse(connections(home)["edgeloop_candidates"]["extra"]["scoring_base"])
    return Releases(
        Registry(home.url("releases"), *login), Registry(home.url("candidates"), *login), base, private_key(signing.private_key(home))
    )


@pytest.fixture(scope="session")
def embedded_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with one running site, `north`, in its namespace.

    Not its first site: another embedded cloud on this machine has its pods and services at the addresses of the first ones.
    """
    before = random.randrange(8, 28)
    home = Home.create(tmp_path_factory.mktemp("home"), free_port_base(before + 1), [*(f"other{n}" for n in range(before)), "north"])
    with ExitStack() as running:
        for name in ("candidates", "releases"):
            running.enter_context(
                Background(create_app(home, container_registry.create(home, name)), home, home.port(name))  # type: ignore[arg-type]
            )
        site = Site(home, "north", running.enter_context(standin_plane(home, "north")))
        running.callback(site.tear_down)
        wait("the API server", lambda: site.core.list_namespace().items)
        site.start()
        set_up(NAMESPACE, sites.values(home, "north", services(home)), kubeconfig=str(kubeconfig.write(home, "north")))
        yield home


@pytest.fixture(scope="session")
def standin_bench(embedded_site: Home) -> Bench:
    admin = kubeconfig.write(embedded_site, "north")
    account = kubeconfig.write_service_account(embedded_site, "north", NAMESPACE, "edgeloop-rollout")
    return Bench(account, admin, releases(embedded_site))


@pytest.fixture
def bench(standin_bench: Bench) -> Iterator[Bench]:
    """The site as after set-up."""
    standin_bench.clear()
    yield standin_bench
    standin_bench.clear()


@pytest.fixture(scope="session")
def first(standin_bench: Bench) -> str:
    return standin_bench.releases.make("first")


@pytest.fixture(scope="session")
def second(standin_bench: Bench) -> str:
    return standin_bench.releases.make("second")
