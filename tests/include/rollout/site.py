"""A site for the tests of the rollout: releases of a tiny model, and the rollout's steps, in this process or as the real one."""

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kubernetes import client, config

from include.domain import naming
from include.oci.append import append
from include.oci.client import Registry
from include.oci.layer import layer
from include.oci.reference import Reference
from include.oci.sign import sign
from include.rollout import state, steps
from include.rollout.cluster import Cluster
from include.rollout.replay import REPLAY
from include.rollout.request import Request
from include.rollout.state import State

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "tests" / "include" / "scoring" / "model"
WORKLOAD = "wind_power"
NAMESPACE = "edgeloop"
STEPS = {"canary": steps.canary, "judge": steps.assess, "finish": steps.finish, "roll-back": steps.roll_back}
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "helm-values" / "scoring" / "base.yaml").read_text())
WIND = {"turbine": "R80711", "wind_speed_ms": 8.0}
"""A user's record; the tiny model expects 800 kW."""


def golden(off: float = 0.0) -> bytes:
    """Golden rows of the tiny model (tests/include/scoring/make_model.py), their expected values off by some kW."""
    winds = [0.5 * n for n in range(40)]
    turbines = ["R80711" if n % 2 else "R80721" for n in range(40)]
    warm = [None if n % 5 == 0 else 10.0 + n / 2 for n in range(40)]
    expected = [10.0 * (t == "R80721") + 100 * w - (c or 0) + off for t, w, c in zip(turbines, winds, warm, strict=True)]
    columns = {"turbine": turbines, "wind_speed_ms": winds, "temperature_c": warm, "expected": expected, "kind": ["sample"] * 40}
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


@dataclass(frozen=True)
class Releases:
    """Makes releases in a registry: the scorer's base image and a layer with the tiny model."""

    registry: Registry
    base: Registry
    base_image: Reference
    key: ec.EllipticCurvePrivateKey

    def make(
        self,
        name: str,
        files: dict[str, bytes | None] | None = None,
        *,
        signed: ec.EllipticCurvePrivateKey | str | None = "ours",
        off: float = 0.0,
    ) -> str:
        """Push a release with more `files` (None: one that is left out); gives `registry/repository@digest`."""
        contract = json.loads((MODEL / "contract.json").read_text())
        contract["snapshot"] = "sha256:" + hashlib.sha256(name.encode()).hexdigest()
        content: dict[str, bytes | None] = {
            "/model/model.onnx": (MODEL / "model.onnx").read_bytes(),
            "/model/contract.json": json.dumps(contract).encode(),
            "/model/golden.parquet": golden(off),
        }
        content |= files or {}
        made = layer({path: data for path, data in content.items() if data is not None})
        repository = naming.repository(WORKLOAD)
        manifest = append(self.base, self.base_image, self.registry, repository, made, {}, f"model {name}")
        if signed is not None:
            sign(self.registry, repository, manifest.digest, self.key if isinstance(signed, str) else signed)
        return f"{self.registry.host}/{repository}@{manifest.digest}"


@dataclass
class Bench:
    """One site as a rollout sees it."""

    kubeconfig: Path
    """Of the rollout's service account."""
    admin_kubeconfig: Path
    releases: Releases
    values: dict[str, Any] = field(default_factory=lambda: {**VALUES, "judge": {**VALUES["judge"], "ready_seconds": 60}})
    site: str = "north"
    namespace: str = NAMESPACE
    reach: Callable[[str], httpx.Client] = lambda url: httpx.Client(base_url=url, timeout=10, trust_env=False)

    def __post_init__(self) -> None:
        self.admin = config.new_client_from_config(str(self.admin_kubeconfig))
        self.core, self.apps = client.CoreV1Api(self.admin), client.AppsV1Api(self.admin)
        self.cluster = Cluster(self.namespace, config.new_client_from_config(str(self.kubeconfig)))

    # the program

    def request(self, release: str, **values: Any) -> Request:
        return Request(WORKLOAD, self.site, self.namespace, release, {**self.values, **values})

    def step(self, name: str, release: str, **values: Any) -> State:
        """A step in this process, with the service account of the rollout."""
        return STEPS[name](self.cluster, self.request(release, **values))

    def roll_out(self, release: str, **values: Any) -> State:
        for name in ("canary", "judge", "finish"):
            found = self.step(name, release, **values)
        return found

    def start(self, name: str, release: str, **values: Any) -> subprocess.Popen[str]:
        """The step as the real program."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "KUBECONFIG": str(self.kubeconfig),
            "EDGELOOP_WORKLOAD": WORKLOAD,
            "EDGELOOP_SITE": self.site,
            "EDGELOOP_NAMESPACE": self.namespace,
            "EDGELOOP_RELEASE": release,
            "EDGELOOP_VALUES": yaml.safe_dump({**self.values, **values}),
        }
        command = [sys.executable, "-m", "include.rollout", name]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, name: str, release: str, **values: Any) -> tuple[int, str]:
        """The step as the real program, to its end: exit code and output."""
        process = self.start(name, release, **values)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said

    # what came of it

    @property
    def state(self) -> State | None:
        return state.load(self.cluster, WORKLOAD)

    def outcome(self) -> dict[str, Any]:
        """All that a rollout leaves, without its times."""
        found = self.state
        approved = self.core.read_namespaced_config_map("edgeloop-approved", self.namespace).data or {}
        return {
            "deployments": {one.metadata.name: one.metadata.annotations["edgeloop.io/release"] for one in self.deployments()},
            "services": sorted(one.metadata.name for one in self.core.list_namespaced_service(self.namespace).items),
            "approved": sorted(approved),
            "state": found and replace(found, at="", evidence={}),
        }

    def deployments(self) -> list[Any]:
        return list(self.apps.list_namespaced_deployment(self.namespace).items)

    def served(self) -> str | None:
        """The image's digest that the stable scorer's own answer names; None when nothing answers."""
        url = self.cluster.service_url(naming.scorer(WORKLOAD))
        if url is None:
            return None
        try:
            answer = self.reach(url).post("/score", json={"records": [WIND]}, headers=REPLAY)
        except httpx.HTTPError:
            return None
        return str(answer.json()["release"])

    def clear(self) -> None:
        """As after set-up."""
        for one in self.deployments():
            self.cluster.delete_scorer(one.metadata.name)
        for one in self.core.list_namespaced_service(self.namespace).items:
            self.core.delete_namespaced_service(one.metadata.name, self.namespace)
        for one in self.core.list_namespaced_persistent_volume_claim(self.namespace).items:
            self.core.delete_namespaced_persistent_volume_claim(one.metadata.name, self.namespace)
        self.core.replace_namespaced_config_map("edgeloop-approved", self.namespace, {"metadata": {"name": "edgeloop-approved"}})
        for name in (one.metadata.name for one in self.core.list_namespaced_config_map(self.namespace).items):
            if name == naming.rollout_state(WORKLOAD):
                self.core.delete_namespaced_config_map(name, self.namespace)


def digest(image: str) -> str:
    return image.rpartition("@")[2]


def hex_of(image: str) -> str:
    return image.rpartition(":")[2]


def private_key(file: Path) -> ec.EllipticCurvePrivateKey:
    found = serialization.load_pem_private_key(file.read_bytes(), None)
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    return found
