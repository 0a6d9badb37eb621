"""Reproducible layers: the same files give the same bytes, whoever makes them and when."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from include.oci.exceptions import LayerInvalid
from include.oci.manifest import OCI_LAYER, Descriptor
from include.oci.reference import digest

LEVEL = 6
"""zlib's own default. The bytes depend on zlib: an image made by another build of it gets another digest, with the same diff id."""
LARGEST = 512 * 1024 * 1024
"""Bytes of all files; a layer is made in memory."""


@dataclass(frozen=True)
class Layer:
    """A gzipped tar: its bytes, its digest, and the digest of the tar inside (`diff_id`)."""

    data: bytes
    digest: str
    diff_id: str

    @property
    def descriptor(self) -> Descriptor:
        """How a manifest names it."""
        return Descriptor(OCI_LAYER, self.digest, len(self.data))


def layer(files: Mapping[str, bytes], executable: frozenset[str] = frozenset()) -> Layer:
    """A layer of these files by path (`/model/model.onnx`): sorted, owner 0:0, mode 644 (755 if `executable`), time 0.

    LayerInvalid for a path that leaves the root, is named twice, or is both file and folder.
    """
    named = _named(files)
    if sum(map(len, files.values())) > LARGEST:
        raise LayerInvalid(f"the layer's files have more than {LARGEST} bytes: put what is large into the base image")
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, given in sorted(named.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[given])
            entry.mode = 0o755 if given in executable else 0o644
            tar.addfile(entry, io.BytesIO(files[given]))
    packed = gzip.compress(raw.getvalue(), LEVEL, mtime=0)
    return Layer(packed, digest(packed), digest(raw.getvalue()))


def _named(files: Mapping[str, bytes]) -> dict[str, str]:
    """Path in the tar by path as given."""
    if not files:
        raise LayerInvalid("a layer without files changes nothing: name at least one")
    named: dict[str, str] = {}
    for given in files:
        parts = [part for part in given.split("/") if part]
        if not parts or "\0" in given or any(part in (".", "..") or part.startswith(".wh.") for part in parts):
            raise LayerInvalid(f"{given!r} is not a path inside an image: write /folder/file without '.', '..' and whiteouts")
        name = "/".join(parts)
        if name in named:
            raise LayerInvalid(f"{given!r} and {named[name]!r} are the same file of the layer")
        named[name] = given
    for name in named:
        for folder in PurePosixPath(name).parents:
            if str(folder) in named:
                raise LayerInvalid(f"{named[str(folder)]!r} is a file and the folder of {named[name]!r}")
    return named
