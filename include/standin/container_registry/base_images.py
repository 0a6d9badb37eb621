"""The base images of an embedded cloud: a stub that names the machine's Python and the packages of a real base, and this checkout's code.

A machine without Docker has no base image to append a model to. The label `edgeloop.runtime` says how many layers the machine stands for.
"""

import json
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from include.oci.append import EPOCH
from include.oci.client import Registry
from include.oci.layer import Layer, layer
from include.oci.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest, compact
from include.oci.pins import packages
from include.oci.reference import digest, short
from include.standin.container_registry.models import Store, write_whole

ROOT = Path(__file__).parents[3]
MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}
SKIPPED = ("__pycache__",)


@dataclass(frozen=True)
class BaseImage:
    """What a base image holds: the code of one program, and the requirements that its runtime meets."""

    repository: str
    program: str
    """The module that its entrypoint runs."""
    code: tuple[str, ...]
    """Folders of `include/`."""
    environment: tuple[str, ...]
    file: str
    """File of the home's registry folder that names the image."""


SCORING = BaseImage("edgeloop/scoring-base", "include.scoring", ("domain", "scoring"), ("MODEL_DIR=/model",), "scoring_base")
ROLLOUT = BaseImage("edgeloop/rollout", "include.rollout", ("domain", "oci", "rollout"), (), "rollout_image")


def name(image: BaseImage) -> str:
    """`repository:tag` of the image as this checkout makes it; the tag names its content."""
    return f"{image.repository}:{_tag(_built(image).manifest)}"


def push(store: Store, image: BaseImage, folder: Path) -> str:
    """Put the image into the store (again: only what is missing or damaged), and write its name into the folder; gives `repository:tag`."""
    built = _built(image)
    repository = store.repository(image.repository)
    for part in built.parts:
        repository.write_blob(part)
    repository.write_manifest(built.manifest, _tag(built.manifest))
    named = f"{image.repository}:{_tag(built.manifest)}"
    write_whole(folder / image.file, named.encode())
    return named


def bring(registry: Registry, image: BaseImage) -> None:
    """Push the image to a registry that does not start with it, unless it is there."""
    built = _built(image)
    if registry.resolve(image.repository, _tag(built.manifest)) == built.manifest.digest:
        return
    for part in built.parts:
        registry.write_blob(image.repository, part)
    registry.write_manifest(image.repository, built.manifest, _tag(built.manifest))


@dataclass(frozen=True)
class _Built:
    manifest: Manifest
    parts: tuple[bytes, ...]


@cache
def _built(image: BaseImage) -> _Built:
    """The image. The same files give the same bytes."""
    layers = [_runtime(image), _code(image)]
    config = compact(_config(image, layers))
    said = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": Descriptor(OCI_CONFIG, digest(config), len(config)).to_json(),
        "layers": [one.descriptor.to_json() for one in layers],
    }
    return _Built(Manifest(compact(said), OCI_MANIFEST), (config, *(one.data for one in layers)))


def _tag(manifest: Manifest) -> str:
    major, minor, _ = platform.python_version_tuple()
    return f"py{major}{minor}-{short(manifest.digest)}"


def _runtime(image: BaseImage) -> Layer:
    locked = ROOT / image.program.replace(".", "/") / "requirements.txt"
    said = {"python": platform.python_version(), "packages": packages(locked.read_text(encoding="utf-8"))}
    return layer({"/runtime.json": json.dumps(said, indent=1).encode()})


def _code(image: BaseImage) -> Layer:
    files = [ROOT / "include" / "__init__.py"]
    for folder in image.code:
        files += [file for file in (ROOT / "include" / folder).rglob("*") if file.is_file() and not set(SKIPPED) & set(file.parts)]
    return layer({f"/app/{file.relative_to(ROOT).as_posix()}": file.read_bytes() for file in files})


def _config(image: BaseImage, layers: list[Layer]) -> dict[str, object]:
    return {
        "created": EPOCH,
        "architecture": MACHINES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONPATH=/app", *image.environment],
            "Entrypoint": ["python", "-m", image.program],
            "WorkingDir": "/app",
            "Labels": {"edgeloop.runtime": "1"},
        },
        "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in layers]},
        "history": [
            {"created": EPOCH, "created_by": "edgeloop: the machine's Python and packages stand for this layer"},
            {"created": EPOCH, "created_by": f"edgeloop: code of {image.program}"},
        ],
    }
