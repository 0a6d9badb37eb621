"""How objects come into the store: defaults, rules of their kind, admission, owners of fields. For requests and controllers alike."""

import copy
import random
import uuid
from dataclasses import dataclass

from include.standin.kubernetes import apply as server_side
from include.standin.kubernetes import defaults, kinds, services
from include.standin.kubernetes.admission import Admission, Review
from include.standin.kubernetes.allocation import Allocator
from include.standin.kubernetes.apply import Manager, now
from include.standin.kubernetes.exceptions import ApiError, BadRequest, Cause, Conflict, Forbidden, Invalid, NotFound
from include.standin.kubernetes.immutability import check_immutable
from include.standin.kubernetes.kinds import Kind
from include.standin.kubernetes.schema import Schema
from include.standin.kubernetes.store import Key, Object, Store
from include.standin.kubernetes.tokens import User
from include.standin.kubernetes.validation import check_object, without_unknown

LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""What generated names end in (apimachinery `rand`): no vowels, no words."""
SERVER_SET = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
WORKLOADS = (kinds.POD, kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.STATEFUL_SET, kinds.DAEMON_SET)
WITH_GENERATION = (*WORKLOADS, kinds.DISRUPTION_BUDGET, kinds.NETWORK_POLICY, kinds.POLICY, kinds.POLICY_BINDING)
CONTROLLERS = User("system:kube-controller-manager", ("system:masters",))
CONTROLLER_MANAGER = "kube-controller-manager"


@dataclass(frozen=True)
class Author:
    """Who changes an object, and how."""

    user: User
    manager: str
    dry_run: bool = False


CONTROLLER = Author(CONTROLLERS, CONTROLLER_MANAGER)


def generated(prefix: str) -> str:
    """A name for `generateName`."""
    return prefix[:58] + "".join(random.choices(LETTERS, k=5))  # noqa: S311 - a name, not a secret


class Writer:
    """Writes objects of one site."""

    def __init__(self, store: Store, admission: Admission, allocator: Allocator, authority: str) -> None:
        self.store = store
        self.admission = admission
        self.allocator = allocator
        self.authority = authority
        """PEM of the CA, which every namespace has in the ConfigMap `kube-root-ca.crt`."""

    def create(self, kind: Kind, namespace: str, value: Object, author: Author) -> tuple[Object, list[str]]:
        """Store a new object; gives it and the warnings of admission policies."""
        self._name(kind, namespace, value)
        self._check_namespace(kind, namespace, value["metadata"]["name"])
        if kind is not kinds.NODE:
            value.pop("status", None)
        defaults.fill(kind, value)
        if kind is kinds.POD:
            self._check_account(namespace, value)
        schema = Schema.of(kind)
        check_object(kind, value, schema, None)
        server_side.record_update(None, value, schema, Manager(author.manager, "Update", kind.api_version))
        return self._created(kind, namespace, value, author)

    def _created(self, kind: Kind, namespace: str, value: Object, author: Author) -> tuple[Object, list[str]]:
        name = value["metadata"]["name"]
        self._allocate(kind, value)
        warnings = self.admission.check(Review(kind, namespace, name, "CREATE", value, None, author.user, dry_run=author.dry_run))
        if author.dry_run:
            return value, warnings
        stored = self.store.create(kind, value)
        if kind is kinds.NAMESPACE:
            self.furnish(name)
        return stored, warnings

    def _allocate(self, kind: Kind, value: Object) -> None:
        """After the owners of fields are known: nobody owns what the server gives."""
        if kind is kinds.SERVICE:
            self.allocator.allocate(value)

    def _name(self, kind: Kind, namespace: str, value: Object) -> None:
        meta = value["metadata"]
        if meta.get("resourceVersion"):
            raise BadRequest("resourceVersion should not be set on objects to be created")
        if not meta.get("name"):
            if not meta.get("generateName"):
                raise Invalid(kind, "", [Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")])
            meta["name"] = generated(meta["generateName"])
        for field in (*SERVER_SET, "resourceVersion"):
            meta.pop(field, None)
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        if kind in WITH_GENERATION:
            meta["generation"] = 1
        if kind.namespaced:
            meta["namespace"] = namespace
        value |= {"apiVersion": kind.api_version, "kind": kind.kind}

    def _check_namespace(self, kind: Kind, namespace: str, name: str) -> None:
        if not kind.namespaced:
            return
        key = Key(kinds.NAMESPACE, "", namespace)
        if not self.store.has(key):
            raise NotFound(kinds.NAMESPACE, namespace)
        if self.store.peek(key)["metadata"].get("deletionTimestamp"):
            raise Forbidden(kind, name, f"unable to create new content in namespace {namespace} because it is being terminated")

    def _check_account(self, namespace: str, pod: Object) -> None:
        account = pod["spec"]["serviceAccountName"]
        if not self.store.has(Key(kinds.SERVICE_ACCOUNT, namespace, account)):
            why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
            raise Forbidden(kinds.POD, pod["metadata"]["name"], why)

    def furnish(self, namespace: str) -> None:
        """What every namespace has: its default account and the CA."""
        for kind, name, content in (
            (kinds.SERVICE_ACCOUNT, "default", {}),
            (kinds.CONFIG_MAP, "kube-root-ca.crt", {"data": {"ca.crt": self.authority}}),
        ):
            if not self.store.has(Key(kind, namespace, name)):
                self.create(kind, namespace, {"metadata": {"name": name}} | copy.deepcopy(content), CONTROLLER)

    def apply(
        self, key: Key, live: Object | None, config: Object, author: Author, force: bool, subresource: str
    ) -> tuple[Object, list[str]]:
        """Server-side apply; creates the object when there is none."""
        kind, schema = key.kind, Schema.of(key.kind)
        manager = Manager(author.manager, "Apply", kind.api_version, subresource)
        if live is not None:
            self._check_revision(key, live, config)
            value = without_unknown(server_side.apply(live, config, schema, manager, force), schema)
            return self._replaced(key, live, value, author, subresource)
        value = without_unknown(server_side.apply(None, config, schema, manager, force), schema)
        self._name(kind, key.namespace, value)
        self._check_namespace(kind, key.namespace, key.name)
        if kind is not kinds.NODE:
            value.pop("status", None)
        defaults.fill(kind, value)
        if kind is kinds.POD:
            self._check_account(key.namespace, value)
        check_object(kind, value, schema, None)
        return self._created(kind, key.namespace, value, author)

    def update(self, key: Key, live: Object, value: Object, author: Author, subresource: str = "") -> tuple[Object, list[str]]:
        """Replace an object; `subresource` `status`: only its status."""
        self._check_revision(key, live, value)
        prepared = self._prepared(key, live, value, subresource)
        manager = Manager(author.manager, "Update", key.kind.api_version, subresource)
        server_side.record_update(live, prepared, Schema.of(key.kind), manager)
        return self._stored(key, live, prepared, author, subresource)

    def _replaced(self, key: Key, live: Object, value: Object, author: Author, subresource: str) -> tuple[Object, list[str]]:
        managed = value["metadata"].get("managedFields", [])
        prepared = self._prepared(key, live, value, subresource)
        prepared["metadata"]["managedFields"] = managed
        return self._stored(key, live, prepared, author, subresource)

    def _check_revision(self, key: Key, live: Object, value: Object) -> None:
        meta, stored = value.get("metadata") or {}, live["metadata"]
        if meta.get("uid", stored["uid"]) != stored["uid"]:
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {stored['uid']}"
            raise Conflict(key.kind, key.name, why)
        if (meta.get("resourceVersion") or stored["resourceVersion"]) != stored["resourceVersion"]:
            raise Conflict(key.kind, key.name)

    def _prepared(self, key: Key, live: Object, value: Object, subresource: str) -> Object:
        """The new object with what an update cannot change taken from the live one."""
        new = copy.deepcopy(value) | {"apiVersion": key.kind.api_version, "kind": key.kind.kind}
        if subresource == "status":
            return copy.deepcopy(live) | {"status": new.get("status") or {}}
        new.pop("status", None)
        if "status" in live:
            new["status"] = copy.deepcopy(live["status"])
        kept = {field: live["metadata"][field] for field in (*SERVER_SET, "name", "namespace") if field in live["metadata"]}
        new["metadata"] = {field: part for field, part in new["metadata"].items() if field not in SERVER_SET} | kept
        defaults.fill(key.kind, new)
        if key.kind is kinds.SERVICE:
            services.carry(live["spec"], new["spec"])
        check_object(key.kind, new, Schema.of(key.kind), live)
        check_immutable(key.kind, live, new)
        return new

    def _stored(self, key: Key, live: Object, new: Object, author: Author, subresource: str) -> tuple[Object, list[str]]:
        if "generation" in live["metadata"] and _desired(new) != _desired(live):
            new["metadata"]["generation"] = live["metadata"]["generation"] + 1
        self._allocate(key.kind, new)
        review = Review(key.kind, key.namespace, key.name, "UPDATE", new, live, author.user, subresource, author.dry_run)
        warnings = self.admission.check(review)
        new["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        return (new if author.dry_run else self.store.update(key.kind, new)), warnings

    def set_status(self, key: Key, status: Object) -> None:
        """What a controller saw; an object that is gone meanwhile is let go."""
        try:
            live = self.store.get(key)
            if live.get("status") != status:
                self.update(key, live, live | {"status": status}, CONTROLLER, "status")
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _desired(value: Object) -> Object:
    return {field: part for field, part in value.items() if field not in ("metadata", "status")}
