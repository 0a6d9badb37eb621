"""What is attested of a release: SLSA provenance v1 and a CycloneDX 1.6 SBOM, as JSON. No times: the same facts, the same JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BUILD_TYPE = "x-edgeloop://build/model-layer/v1"
"""Names how the image is made: one layer with the model on a base image."""
BUILDER = "x-edgeloop://dags/promote"


@dataclass(frozen=True)
class Source:
    """Something that went into the image: a URI and a `sha256:<hex>` digest (None where only a name is known)."""

    name: str
    uri: str
    digest: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As SLSA's ResourceDescriptor."""
        said: dict[str, Any] = {"name": self.name, "uri": self.uri}
        if self.digest:
            said["digest"] = {"sha256": self.digest.removeprefix("sha256:")}
        return said


@dataclass(frozen=True)
class Build:
    """How a release came about."""

    workload: str
    snapshot: str
    job: str
    window: str | None
    sources: tuple[Source, ...]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    parity: Mapping[str, Any] = field(default_factory=dict)
    gate: Mapping[str, Any] = field(default_factory=dict)


def provenance(build: Build) -> dict[str, Any]:
    """SLSA provenance v1 (slsa.dev/spec/v1.0/provenance): from which data, by which job, with which metrics and verdict."""
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"workload": build.workload, "snapshot": build.snapshot, "window": build.window},
            "internalParameters": {
                "job": build.job,
                "metrics": dict(build.metrics),
                "parity": dict(build.parity),
                "gate": dict(build.gate),
            },
            "resolvedDependencies": [source.to_json() for source in build.sources],
        },
        "runDetails": {"builder": {"id": BUILDER}, "metadata": {"invocationId": build.job}},
    }


def sbom(name: str, model_digest: str, packages: Mapping[str, str]) -> dict[str, Any]:
    """CycloneDX 1.6: the model, and the Python packages of its runtime by name and version."""
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": name,
        "version": model_digest,
        "hashes": [{"alg": "SHA-256", "content": model_digest.removeprefix("sha256:")}],
    }
    libraries = [_library(package, version) for package, version in sorted(packages.items())]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": "image", "name": name}},
        "components": [model, *libraries],
    }


def _library(package: str, version: str) -> dict[str, str]:
    purl = f"pkg:pypi/{package}@{version}"
    return {"type": "library", "bom-ref": purl, "name": package, "version": version, "purl": purl}
