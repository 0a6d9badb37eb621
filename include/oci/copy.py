"""Copy an image by digest between registries, with everything that refers to it. Resumable: what is there is not sent again."""

from include.oci import tag as tags
from include.oci.append import carry
from include.oci.client import Registry
from include.oci.exceptions import ImageUnsupported
from include.oci.manifest import Manifest
from include.oci.referrers import attach

DEEPEST = 3
"""Levels of indexes in indexes, and of referrers of referrers."""


def copy(source: Registry, source_repository: str, digest: str, target: Registry, repository: str, tag: str) -> Manifest:
    """Bring the digest, then its referrers, then the tag: a tag that is there names an image that is whole.

    TagTaken (before anything is sent) when the tag names another digest; it names both.
    """
    tagged = tags.check(target, repository, tag, digest)
    manifest = _image(source, source_repository, digest, target, repository, DEEPEST)
    copy_referrers(source, source_repository, digest, target, repository)
    if not tagged:
        target.write_manifest(repository, manifest, tag)
    return manifest


def copy_referrers(source: Registry, source_repository: str, digest: str, target: Registry, repository: str, deep: int = DEEPEST) -> None:
    """Bring what refers to the digest: signatures, attestations, and what refers to those."""
    if deep == 0:
        raise ImageUnsupported(f"{digest} has referrers of referrers deeper than {DEEPEST} levels")
    present = {one.digest for one in target.referrers(repository, digest)}
    for referrer in source.referrers(source_repository, digest):
        if referrer.digest not in present:
            manifest = source.manifest(source_repository, referrer.digest)
            _content(source, source_repository, manifest, target, repository)
            attach(target, repository, manifest)
        copy_referrers(source, source_repository, referrer.digest, target, repository, deep - 1)


def _image(source: Registry, source_repository: str, digest: str, target: Registry, repository: str, deep: int) -> Manifest:
    manifest = source.manifest(source_repository, digest)
    if target.resolve(repository, digest) == digest:
        return manifest  # the registry took it only with everything that it names
    if manifest.is_index:
        if deep == 0:
            raise ImageUnsupported(f"{digest} has indexes in indexes deeper than {DEEPEST} levels")
        for child in manifest.manifests:
            _image(source, source_repository, child.digest, target, repository, deep - 1)
    else:
        _content(source, source_repository, manifest, target, repository)
    target.write_manifest(repository, manifest)
    return manifest


def _content(source: Registry, source_repository: str, manifest: Manifest, target: Registry, repository: str) -> None:
    for content in (manifest.config, *manifest.layers):
        carry(source, source_repository, target, repository, content)
