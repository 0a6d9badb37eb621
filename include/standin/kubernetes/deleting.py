"""How objects go: grace periods of pods, finalizers, what their owners leave behind."""

import copy
from dataclasses import dataclass, field
from typing import Any

from include.standin.kubernetes import kinds
from include.standin.kubernetes.admission import Review
from include.standin.kubernetes.apply import now
from include.standin.kubernetes.exceptions import BadRequest, Conflict
from include.standin.kubernetes.kinds import Kind
from include.standin.kubernetes.store import Key, Object, Store
from include.standin.kubernetes.writing import CONTROLLER, Author, Writer

FOREGROUND = "foregroundDeletion"
"""Finalizer: the object stays until its dependants are gone."""
GIVEN_BACK = (kinds.POD, kinds.SERVICE, kinds.SERVICE_ACCOUNT, kinds.CLAIM)
"""Kinds whose deletion answers with the object; the others answer with a Status."""


@dataclass(frozen=True)
class Options:
    """DeleteOptions."""

    grace: int | None = None
    """Seconds; None: what the object says."""
    propagation: str = "Background"
    preconditions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, body: dict[str, Any], query: dict[str, str]) -> "Options":
        """From the body, else from the query; BadRequest for what is neither."""
        grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
        propagation = body.get("propagationPolicy") or query.get("propagationPolicy") or "Background"
        if body.get("orphanDependents"):
            propagation = "Orphan"
        if propagation not in ("Background", "Foreground", "Orphan"):
            raise BadRequest(
                f'propagationPolicy: Unsupported value: "{propagation}": supported values: "Foreground", "Background", "Orphan", "nil"'
            )
        try:
            return cls(None if grace is None else int(grace), propagation, body.get("preconditions") or {})
        except (TypeError, ValueError) as error:
            raise BadRequest(f"gracePeriodSeconds {grace!r} is not a number of seconds") from error


class Deleter:
    """Deletes objects of one site."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self.store = store
        self.writer = writer

    def delete(self, key: Key, options: Options, author: Author = CONTROLLER) -> Object:
        """Delete, or mark as being deleted; gives the object, or the Status that answers the request."""
        live = self.store.get(key)
        self._check(key, live, options)
        review = Review(key.kind, key.namespace, key.name, "DELETE", None, live, author.user, dry_run=author.dry_run)
        self.writer.admission.check(review)
        if author.dry_run:
            return _answer(key.kind, live)
        if options.propagation == "Orphan":
            self._orphan(live)
        marked = self._mark(key, live, options)
        if marked is not None:
            return marked
        return _answer(key.kind, self.store.delete(key))

    def _check(self, key: Key, live: Object, options: Options) -> None:
        for name, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            wanted, found = options.preconditions.get(name), live["metadata"][name]
            if wanted and wanted != found:
                why = f"the {label} in the precondition ({wanted}) does not match the {label} in record ({found}). "
                raise Conflict(key.kind, key.name, why + "The object might have been deleted and then recreated")

    def _mark(self, key: Key, live: Object, options: Options) -> Object | None:
        """The object being deleted, when something has to happen first; None when it can go at once."""
        grace = _grace(key.kind, live, options)
        finalizers = list(live["metadata"].get("finalizers") or ())
        if options.propagation == "Foreground" and FOREGROUND not in finalizers:
            finalizers.append(FOREGROUND)
        if not grace and not finalizers and key.kind is not kinds.NAMESPACE:
            return None
        new = copy.deepcopy(live)
        meta = new["metadata"]
        meta.setdefault("deletionTimestamp", now())
        meta["deletionGracePeriodSeconds"] = min(grace, meta.get("deletionGracePeriodSeconds", grace))
        if finalizers:
            meta["finalizers"] = finalizers
        if key.kind is kinds.NAMESPACE:
            new["status"] = {**new.get("status", {}), "phase": "Terminating"}
        return self.store.update(key.kind, new)

    def _orphan(self, owner: Object) -> None:
        """Let dependants live without the owner."""
        uid = owner["metadata"]["uid"]
        for kind in kinds.KINDS:
            for found in self.store.all(kind, owner["metadata"].get("namespace", "")):
                references = found["metadata"].get("ownerReferences") or ()
                if any(one["uid"] == uid for one in references):
                    freed = copy.deepcopy(found)
                    freed["metadata"]["ownerReferences"] = [one for one in references if one["uid"] != uid]
                    self.store.update(kind, freed)


def _grace(kind: Kind, live: Object, options: Options) -> int:
    """Seconds that a pod has to end in. One that no node runs goes at once."""
    if kind is not kinds.POD or not live["spec"].get("nodeName") or live.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return options.grace if options.grace is not None else int(live["spec"].get("terminationGracePeriodSeconds", 30))


def _answer(kind: Kind, found: Object) -> Object:
    if kind in GIVEN_BACK:
        return found
    details = {"name": found["metadata"]["name"], "kind": kind.plural, "uid": found["metadata"]["uid"]}
    details |= {"group": kind.group} if kind.group else {}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
