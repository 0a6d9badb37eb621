"""Give a digest a name. A tag that names another digest is never moved."""

from include.oci.client import Registry
from include.oci.exceptions import TagTaken
from include.oci.manifest import Manifest
from include.oci.reference import Reference


def check(registry: Registry, repository: str, tag: str, digest: str) -> bool:
    """Whether the tag names the digest already; TagTaken when it names another."""
    present = registry.resolve(repository, tag)
    if present not in (None, digest):
        raise TagTaken(str(Reference(registry.host, repository, tag)), str(present), digest)
    return present == digest


def tag(registry: Registry, repository: str, name: str, digest: str) -> Manifest:
    """Put the tag on a digest that the repository has; gives its manifest. Doing it again changes nothing."""
    manifest = registry.manifest(repository, digest)
    if not check(registry, repository, name, digest):
        registry.write_manifest(repository, manifest, name)
    return manifest
