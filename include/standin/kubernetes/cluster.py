"""The parts of one site's API server, put together."""

import ssl
from dataclasses import dataclass

from include.standin.home import Home
from include.standin.kubernetes import kinds
from include.standin.kubernetes.admission import Admission
from include.standin.kubernetes.allocation import Allocator
from include.standin.kubernetes.authorization import BOOTSTRAP, Authorizer
from include.standin.kubernetes.deleting import Deleter
from include.standin.kubernetes.events import Events
from include.standin.kubernetes.store import Key, Store
from include.standin.kubernetes.tokens import Tokens
from include.standin.kubernetes.writing import CONTROLLER, Writer
from include.standin.serving import client_context

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


@dataclass(frozen=True)
class Cluster:
    """What answers and controllers work with."""

    store: Store
    tokens: Tokens
    authorizer: Authorizer
    writer: Writer
    deleter: Deleter
    events: Events
    context: ssl.SSLContext
    """Verifies node agents."""

    @classmethod
    def open(cls, home: Home, site: str) -> "Cluster":
        """The cluster as it was left; a new one has its namespaces and roles."""
        store = Store(home.folder(f"kubernetes/{site}") / "objects.sqlite")
        services = f"127.{60 + home.site_number(site)}"
        writer = Writer(store, Admission(store), Allocator(store, services), home.ca.read_text(encoding="utf-8"))
        cluster = cls(
            store, Tokens(home, site), Authorizer(store), writer, Deleter(store, writer), Events(store, writer), client_context(home)
        )
        cluster._furnish()
        return cluster

    def _furnish(self) -> None:
        for name in NAMESPACES:
            if not self.store.has(Key(kinds.NAMESPACE, "", name)):
                self.writer.create(kinds.NAMESPACE, "", {"metadata": {"name": name}}, CONTROLLER)
            self.writer.furnish(name)
        for kind, value in BOOTSTRAP:
            if not self.store.has(Key(kind, "", value["metadata"]["name"])):
                self.writer.create(kind, "", value | {"metadata": dict(value["metadata"])}, CONTROLLER)
