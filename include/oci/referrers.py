"""Attach artifacts (signatures, attestations) to an image: OCI referrers, or the fallback tag where a registry has no API for them."""

from include.oci.client import Registry, fallback_tag
from include.oci.exceptions import ImageUnsupported, RegistryRefused
from include.oci.manifest import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest, compact

EMPTY = b"{}"
"""Content of an empty config (OCI image specification, "Guidance for an empty descriptor")."""
RACES = 5
"""How often the fallback list is written again when another writer was faster."""


def artifact(registry: Registry, repository: str, subject: Descriptor, data: bytes, kind: str, annotations: dict[str, str]) -> Descriptor:
    """Push `data` as an artifact of the media type `kind` that refers to the subject; gives its manifest's descriptor."""
    config = Descriptor(OCI_EMPTY, registry.write_blob(repository, EMPTY), len(EMPTY))
    layer = Descriptor(kind, registry.write_blob(repository, data), len(data))
    said = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": kind,
        "config": config.to_json(),
        "layers": [layer.to_json()],
        "subject": Descriptor(subject.media_type, subject.digest, subject.size).to_json(),
        "annotations": annotations,
    }
    manifest = Manifest(compact(said), OCI_MANIFEST)
    attach(registry, repository, manifest)
    return manifest.descriptor


def attach(registry: Registry, repository: str, manifest: Manifest) -> None:
    """Push a manifest that has a subject, so that the subject's referrers list it."""
    subject = manifest.subject
    if subject is None:
        raise ImageUnsupported(f"{manifest.digest} names no subject: it refers to nothing")
    if not registry.write_manifest(repository, manifest):
        _list(registry, repository, subject.digest, manifest.descriptor)


def _list(registry: Registry, repository: str, subject: str, referrer: Descriptor) -> None:
    """Add to the list under the fallback tag: read, write, and look, for registries have no compare-and-set."""
    for _ in range(RACES):
        present = registry.tagged_referrers(repository, subject)
        if referrer.digest in {one.digest for one in present}:
            return
        listed = [one.to_json() for one in (*present, referrer)]
        index = compact({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed})
        registry.write_manifest(repository, Manifest(index, OCI_INDEX), fallback_tag(subject))
    if referrer.digest not in {one.digest for one in registry.tagged_referrers(repository, subject)}:
        raise RegistryRefused(f"the list {repository}:{fallback_tag(subject)} loses entries: too many writers at once, run again", 409)
