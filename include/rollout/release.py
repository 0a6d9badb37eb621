"""The release in the registry: is it signed by us, and what does its model layer hold?"""

import io
import json
import math
import tarfile
from dataclasses import dataclass
from typing import Any

from include.oci.client import Registry
from include.oci.reference import Reference
from include.oci.verify import verify
from include.rollout.cluster import Cluster
from include.rollout.replay import Record

PULL = "edgeloop-pull"
TRUST = "edgeloop-trust"
LARGEST_LAYER = 256 * 1024 * 1024
"""Bytes, packed; a larger model layer is refused rather than read into a pod of 512 MiB."""
LARGEST_FILE = 64 * 1024 * 1024
"""Bytes of the contract or of the golden rows, unpacked."""


class ReleaseInvalid(ValueError):
    """An image whose last layer is no model's; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class ModelLayer:
    """What the image's last layer says of the model in it."""

    model: str
    """Digest of model.onnx."""
    inputs: tuple[str, ...]
    rows: list[Record]
    """The golden rows' inputs; what is missing is left out."""
    expected: list[float]
    """The native model's answers to them."""


class Release:
    """An image of the release registry, by digest, reached with the site's own pull Secret and trust."""

    def __init__(self, cluster: Cluster, image: str) -> None:
        trust = cluster.config_map(TRUST)
        if trust is None:
            raise LookupError(f"ConfigMap {TRUST} is missing: set the site up with `python -m include.rollout set-up`")
        self.reference = Reference.parse(image)
        user, password = cluster.registry_login(PULL, self.reference.registry)
        self.public_key = trust["cosign.pub"].encode()
        self.registry = Registry(f"https://{self.reference.registry}", user, password, ca_pem=trust.get("ca.pem") or None)

    def verify(self) -> None:
        """Raise (include.oci.exceptions) unless the digest carries our signature."""
        verify(self.registry, self.reference.repository, str(self.reference.digest), self.public_key)

    def model(self) -> ModelLayer:
        """The model layer, its hash checked by the client. ReleaseInvalid when it holds no contract or golden rows that cannot be read."""
        manifest = self.registry.manifest(self.reference.repository, str(self.reference.digest))
        if not manifest.layers:
            raise ReleaseInvalid(f"{self.reference} has no layers: release an image that promote made")
        last = manifest.layers[-1]
        if last.size > LARGEST_LAYER:
            raise ReleaseInvalid(f"the last layer of {self.reference} has {last.size} bytes: that is no model layer")
        data = self.registry.blob(self.reference.repository, last.digest, LARGEST_LAYER)
        return read(_unpacked(data, "contract.json"), _unpacked(data, "golden.parquet"))


def read(contract: bytes | None, golden: bytes | None) -> ModelLayer:
    """The layer's two files, understood. Without golden rows it has none, which no judge takes for good."""
    if contract is None:
        raise ReleaseInvalid("the model layer has no model/contract.json")
    try:
        said = json.loads(contract)
        model, inputs = str(said["model_digest"]), tuple(str(one["name"]) for one in said["inputs"])
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseInvalid(f"model/contract.json of the model layer is none: {error!r}") from error
    rows = _rows(golden) if golden else []
    try:
        expected = [float(row["expected"]) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise ReleaseInvalid(f"a row of model/golden.parquet has no 'expected': {error!r}") from error
    return ModelLayer(model, inputs, [_known(row, inputs) for row in rows], expected)


def _rows(golden: bytes) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(io.BytesIO(golden)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ReleaseInvalid(f"model/golden.parquet of the model layer cannot be read: {error}") from error


def _known(row: dict[str, Any], inputs: tuple[str, ...]) -> Record:
    given = {name: row.get(name) for name in inputs}
    return {name: value for name, value in given.items() if value is not None and not (isinstance(value, float) and math.isnan(value))}


def _unpacked(data: bytes, name: str) -> bytes | None:
    """A file of the layer's folder `model`, None when it is not there."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                if member.name.removeprefix("./").lstrip("/") == f"model/{name}" and member.isfile():
                    if member.size > LARGEST_FILE:
                        raise ReleaseInvalid(f"model/{name} of the model layer has {member.size} bytes, allowed are {LARGEST_FILE}")
                    file = archive.extractfile(member)
                    return file.read() if file else None
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ReleaseInvalid(f"the last layer is no gzipped tar: {error}") from error
    return None
