"""Events: what controllers tell people. The same event again is counted, not repeated."""

from include.standin.kubernetes import kinds
from include.standin.kubernetes.apply import now
from include.standin.kubernetes.exceptions import ApiError
from include.standin.kubernetes.kinds import Kind
from include.standin.kubernetes.store import Object, Store, key_of
from include.standin.kubernetes.writing import CONTROLLER, Writer, generated


class Events:
    """Writes events of one site."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self.store = store
        self.writer = writer

    def note(self, kind: Kind, about: Object, reason: str, message: str, component: str) -> None:
        """Something happened."""
        self._write(kind, about, "Normal", reason, message, component)

    def warn(self, kind: Kind, about: Object, reason: str, message: str, component: str) -> None:
        """Something is wrong."""
        self._write(kind, about, "Warning", reason, message, component)

    def _write(self, kind: Kind, about: Object, type_: str, reason: str, message: str, component: str) -> None:
        meta = about["metadata"]
        if self._seen(meta["uid"], reason, message):
            return
        names = {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}
        value = {
            "metadata": {"name": generated(f"{meta['name']}.")},
            "involvedObject": {"kind": kind.kind, "apiVersion": kind.api_version, **names},
            "type": type_,
            "reason": reason,
            "message": message,
            "source": {"component": component},
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        try:
            self.writer.create(kinds.EVENT, meta["namespace"], value, CONTROLLER)
        except ApiError as error:
            if error.code not in (403, 404):  # a namespace on its way out takes no events
                raise

    def _seen(self, uid: str, reason: str, message: str) -> bool:
        """Count the event once more if it is there, at most once a second."""
        for event in self.store.all(kinds.EVENT):
            about = event.get("involvedObject") or {}
            if (about.get("uid"), event.get("reason"), event.get("message")) == (uid, reason, message):
                if event.get("lastTimestamp") != now():
                    live = self.store.get(key_of(kinds.EVENT, event))
                    again = live | {"count": live.get("count", 1) + 1, "lastTimestamp": now()}
                    self.writer.update(key_of(kinds.EVENT, event), live, again, CONTROLLER)
                return True
        return False
