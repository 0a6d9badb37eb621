"""The registry hook, and Azure's import: the real SDK against a resource manager that does what importImage says."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from edgeloop.exceptions import ConnectionIncomplete
from edgeloop.hooks.container_registry import ContainerRegistryHook
from include.oci.client import Registry
from include.oci.copy import copy_referrers
from include.oci.reference import Reference
from include.settings import CANDIDATES, CLOUD, RELEASES
from include.standin import container_registry, entra
from include.standin.home import Home, free_port_base
from include.standin.serving import Background, create_app

ACR = "/subscriptions/s-1/resourceGroups/edge/providers/Microsoft.ContainerRegistry/registries/releases"


class ResourceManager:
    """importImage, as Azure answers it: 202 with a Location, then 200."""

    def __init__(self, home: Home, port: int) -> None:
        self.home = home
        self.port = port
        self.url = f"https://localhost:{port}"
        self.audience: str | None = home.audience
        self.asked: list[Any] = []
        self.routes: list[BaseRoute] = [
            Route(f"{ACR}/importImage", self.take, methods=["POST"]),
            Route("/operations/1", self.done),
        ]

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def take(self, request: Request) -> Response:
        said = await request.json()
        self.asked.append(said)
        await run_in_threadpool(self._pull, said)
        return Response(status_code=202, headers={"Location": f"{self.url}/operations/1", "Retry-After": "0"})

    async def done(self, _: Request) -> Response:
        return JSONResponse({})

    def _pull(self, said: Any) -> None:
        """The image by digest, without a tag and without what refers to it."""
        login = said["source"]["credentials"]
        image = Reference.parse(said["source"]["sourceImage"])
        source = Registry(f"https://{said['source']['registryUri']}", login["username"], login["password"], self.home.ca)
        target = Registry(self.home.url("releases"), login["username"], login["password"], self.home.ca)
        found = source.manifest(image.repository, image.target)
        for one in (found.config, *found.layers):
            data = source.blob(image.repository, one.digest)
            target.write_blob(said["untaggedTargetRepositories"][0], data)
        target.write_manifest(said["untaggedTargetRepositories"][0], found)


@pytest.fixture(scope="module")
def manager(home: Home, connections: dict[str, Any]) -> Iterator[ResourceManager]:
    with ExitStack() as running:
        found = ResourceManager(home, free_port_base(1))  # the session's own cloud may be up
        for name in ("candidates", "releases"):
            running.enter_context(Background(create_app(home, container_registry.create(home, name)), home, home.port(name)))
        running.enter_context(Background(create_app(home, found, entra.create(home)), home, found.port))
        yield found


@pytest.fixture
def acr(manager: ResourceManager, connections: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    azure = json.loads(json.dumps(connections[CLOUD]))
    azure["extra"] |= {"authority": manager.url, "resource_manager": manager.url}
    monkeypatch.setenv("AIRFLOW_CONN_EDGELOOP_CLOUD", json.dumps(azure))
    said = json.loads(json.dumps(connections[RELEASES]))
    said["extra"] = {**said["extra"], "acr_id": ACR}
    monkeypatch.setenv("AIRFLOW_CONN_EDGELOOP_RELEASES", json.dumps(said))


def test_azure_pulls_the_digest_itself(manager: ResourceManager, acr: None) -> None:
    candidates, releases = ContainerRegistryHook(CANDIDATES), ContainerRegistryHook(RELEASES)
    base = candidates.scoring_base
    digest = candidates.registry.manifest(base.repository, base.target).digest
    releases.import_image(candidates, base.repository, digest)
    assert releases.registry.resolve(base.repository, digest) == digest
    asked = manager.asked[-1]
    assert asked["source"]["sourceImage"] == f"{base.repository}@{digest}"
    assert asked["untaggedTargetRepositories"] == [base.repository]
    assert "targetTags" not in asked, "a tag is put last, and never moved"
    copy_referrers(candidates.registry, base.repository, digest, releases.registry, base.repository)


def test_the_button_in_the_ui(manager: ResourceManager) -> None:
    assert ContainerRegistryHook(CANDIDATES).test_connection()[0]


def test_the_button_says_why_not(manager: ResourceManager, connections: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_EDGELOOP_CANDIDATES", json.dumps({**connections[CANDIDATES], "password": "wrong"}))
    works, why = ContainerRegistryHook(CANDIDATES).test_connection()
    assert not works
    assert "check login and password" in why


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"host": "localhost"}, "needs the registry's URL as host"),
        ({"host": "https://r:1", "extra": {}}, "lacks 'scoring_base'"),
        ({"host": "https://r:1", "extra": {"scoring_base": "a b"}}, "names no image"),
        ({"host": "https://r:1", "extra": {"scoring_base": "a/b"}}, "no default tag"),
    ],
)
def test_what_a_connection_lacks(monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], message: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", json.dumps({"conn_type": "generic", **said}))
    hook = ContainerRegistryHook("broken")
    with pytest.raises(ConnectionIncomplete, match=message):
        _ = hook.connection, hook.scoring_base


def test_an_acr_id_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", json.dumps({"conn_type": "generic", "host": "https://r:1", "extra": {"acr_id": "releases"}}))
    hook = ContainerRegistryHook("broken")
    with pytest.raises(ConnectionIncomplete, match="not the ARM id"):
        hook.import_image(hook, "a", "sha256:" + "0" * 64)
