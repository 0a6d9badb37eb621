"""Append one layer to an image through the registry's HTTP API: no daemon, and the base's layers travel once at most."""

import copy as copies
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from include.oci.client import Registry
from include.oci.exceptions import ImageUnsupported
from include.oci.layer import Layer
from include.oci.manifest import DOCKER_LAYER, DOCKER_MANIFEST, OCI_MANIFEST, Descriptor, Manifest, compact
from include.oci.reference import Reference, digest

EPOCH = "1970-01-01T00:00:00Z"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
"""Annotations of the OCI image specification."""


def append(
    base: Registry,
    image: Reference,
    target: Registry,
    repository: str,
    layer: Layer,
    labels: Mapping[str, str],
    comment: str,
    platform: str = "linux/amd64",
) -> Manifest:
    """The base image (in the registry `base`) plus the layer and the labels, pushed by digest into the target's repository.

    The same inputs give the same digest: no time enters. `comment` becomes the layer's line in the history. Of an index, the
    platform's image is taken.
    """
    found = pick(base, image, platform)
    config = _config(base, image.repository, found, layer, labels, comment)
    for below in found.layers:
        carry(base, image.repository, target, repository, below)
    target.write_blob(repository, layer.data)
    target.write_blob(repository, config)
    manifest = _manifest(found, image, layer, config)
    target.write_manifest(repository, manifest)
    return manifest


def pick(registry: Registry, image: Reference, platform: str) -> Manifest:
    """The image's manifest; of an index, the one for the platform. ImageUnsupported when there is none."""
    found = registry.manifest(image.repository, image.target)
    if not found.is_index:
        return found
    wanted = tuple(platform.split("/"))
    offered = {}
    for one in found.parsed.get("manifests") or ():
        said = one.get("platform") or {}
        offered[(said.get("os"), said.get("architecture"))] = one.get("digest")
    if wanted not in offered:
        raise ImageUnsupported(f"{image} has no image for {platform}; it has {', '.join('/'.join(map(str, key)) for key in offered)}")
    return registry.manifest(image.repository, str(offered[wanted]))


def carry(source: Registry, source_repository: str, target: Registry, repository: str, content: Descriptor) -> None:
    """Bring a blob into the target's repository: there already, mounted (same registry), or copied piece by piece."""
    same = source.host == target.host
    if same and source_repository == repository:
        return
    target.send_blob(
        repository,
        content.digest,
        content.size,
        lambda start: source.read_blob(source_repository, content.digest, start),
        mount_from=source_repository if same else None,
    )


def _config(base: Registry, repository: str, found: Manifest, layer: Layer, labels: Mapping[str, str], comment: str) -> bytes:
    try:
        config: dict[str, Any] = json.loads(base.blob(repository, found.config.digest))
        extended = copies.deepcopy(config)
        extended["rootfs"]["diff_ids"].append(layer.diff_id)
        extended.setdefault("history", []).append({"created": EPOCH, "created_by": comment})
        inner = extended.setdefault("config", {})
        inner["Labels"] = {**(inner.get("Labels") or {}), **dict(sorted(labels.items()))}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageUnsupported(f"{found.digest} of {repository} has no image config that a layer can be added to") from error
    return compact(extended)


def _manifest(found: Manifest, image: Reference, layer: Layer, config: bytes) -> Manifest:
    docker = found.media_type == DOCKER_MANIFEST
    said = copies.deepcopy(found.parsed)
    said["mediaType"] = DOCKER_MANIFEST if docker else OCI_MANIFEST
    said["config"] |= _as_content(config)
    added = replace(layer.descriptor, media_type=DOCKER_LAYER) if docker else layer.descriptor
    said["layers"] = [*said["layers"], added.to_json()]
    if not docker:
        said["annotations"] = {**(said.get("annotations") or {}), BASE_NAME: image.repository, BASE_DIGEST: found.digest}
    return Manifest(compact(said), said["mediaType"])


def _as_content(data: bytes) -> dict[str, Any]:
    return {"digest": digest(data), "size": len(data)}
