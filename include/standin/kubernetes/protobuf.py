"""Bodies in Kubernetes' protobuf, as `kubectl create ns|cm|sa|...` and `kubectl auth can-i` send them, read into the JSON form.

The fields of each message come from the `generated.proto` and `types.go` of k8s.io/api: number -> JSON name (empty: its fields belong to
the message around it), label (optional, repeated, map), type, and whether an empty value is left out.
"""

import base64
import gzip
import json
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from include.standin.kubernetes.exceptions import BadRequest
from include.standin.kubernetes.schema import FOLDER

MAGIC = b"k8s\x00"
META = "k8s.io.apimachinery.pkg.apis.meta.v1."
PACKAGES = {
    "": "core.v1",
    "apps": "apps.v1",
    "rbac.authorization.k8s.io": "rbac.v1",
    "authorization.k8s.io": "authorization.v1",
    "authentication.k8s.io": "authentication.v1",
    "coordination.k8s.io": "coordination.v1",
    "policy": "policy.v1",
    "networking.k8s.io": "networking.v1",
}


@cache
def _messages() -> dict[str, dict[str, list[Any]]]:
    return json.loads(gzip.decompress((FOLDER / "protobuf.json.gz").read_bytes()))


def decode(raw: bytes) -> dict[str, Any]:
    """The object as JSON has it; BadRequest for what cannot be read or is of a type that is not known."""
    if not raw.startswith(MAGIC):
        raise BadRequest("the body of the request does not start as Kubernetes' protobuf does")
    try:
        envelope = dict(_wire(raw[len(MAGIC) :]))
        said = {number: value.decode() for number, value in _wire(envelope[1])}
        api_version, kind = said.get(1, ""), said.get(2, "")
        found = _message(_name(api_version, kind), envelope.get(2, b""))
    except (KeyError, IndexError, ValueError, AttributeError, TypeError, struct.error) as error:
        raise BadRequest(f"error decoding the protobuf body of the request: {error!r}") from error
    return {"apiVersion": api_version, "kind": kind, **found}


def _name(api_version: str, kind: str) -> str:
    if kind == "DeleteOptions":
        return META + kind
    group = api_version.rpartition("/")[0]
    name = f"k8s.io.api.{PACKAGES.get(group, group)}.{kind}"
    if name not in _messages():
        raise ValueError(f"{kind} of {api_version} is not known in this form; send JSON")
    return name


def _wire(data: bytes) -> Iterator[tuple[int, Any]]:
    """Fields of a message: number and raw value (int, or bytes)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            yield tag >> 3, data[at : at + size]
            at += size
        elif kind == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("a field is cut short")
            yield tag >> 3, data[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {kind} is not known")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _message(name: str, data: bytes) -> Any:
    if name in SPECIAL:
        return SPECIAL[name](dict(_wire(data)))
    fields, found = _messages()[name], dict[str, Any]()
    for number, raw in _wire(data):
        if str(number) in fields:
            _put(found, fields[str(number)], raw)
    return found


def _put(found: dict[str, Any], field: list[Any], raw: Any) -> None:
    name, label, type_, drop = field
    if label == "m":
        entry = dict(_wire(raw))
        found.setdefault(name, {})[entry.get(1, b"").decode()] = _value(type_, entry.get(2, b""))
        return
    value = _value(type_, raw)
    if label == "r":
        found.setdefault(name, []).append(value)
    elif not name:
        found.update(value)
    elif not (drop and value in ("", 0, False, None)):
        found[name] = value


def _value(type_: str, raw: Any) -> Any:
    if type_ == "string":
        return raw.decode()
    if type_ == "bytes":
        return base64.b64encode(raw).decode()
    if type_ == "bool":
        return bool(raw)
    if type_ in ("int32", "int64"):
        return raw - (1 << 64) if raw >> 63 else raw
    if type_ == "double":
        return struct.unpack("<d", raw)[0]
    return _message(type_, raw)


def _time(fields: dict[int, Any]) -> str | None:
    """RFC 3339, or None for the zero time."""
    seconds = fields.get(1, 0)
    if not fields or seconds >> 63:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(fields: dict[int, Any]) -> str | None:
    seconds = fields.get(1, 0)
    if not fields or seconds >> 63:
        return None
    stamp = datetime.fromtimestamp(seconds, UTC).replace(microsecond=fields.get(2, 0) // 1000)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _int_or_string(fields: dict[int, Any]) -> int | str:
    return fields.get(3, b"").decode() if fields.get(1) else int(fields.get(2, 0))


SPECIAL = {
    META + "Time": _time,
    META + "MicroTime": _micro_time,
    META + "FieldsV1": lambda fields: json.loads(fields.get(1) or b"{}"),
    "k8s.io.apimachinery.pkg.api.resource.Quantity": lambda fields: fields.get(1, b"").decode(),
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
}
"""Messages whose JSON form is no object of their fields."""
