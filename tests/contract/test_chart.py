"""The public helm (in the folder EDGELOOP_TEST_TOOLS) accepts both charts, and makes of them what the rollout makes of them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.rollout import chart, scorer
from include.rollout.request import Request
from include.settings import scoring_values, sites
from include.standin import sites as embedded
from include.standin.connections import services
from include.standin.home import Home

HELM = Path(os.environ.get("EDGELOOP_TEST_TOOLS", "/nowhere")) / "helm"
pytestmark = [pytest.mark.registry, pytest.mark.skipif(not HELM.exists(), reason="EDGELOOP_TEST_TOOLS has no helm")]
OLDEST = "1.30.0"
"""The oldest Kubernetes that the charts take."""
NAMESPACE = "edgeloop-north"
IMAGE = "registry.example:5000/edgeloop/wind-power@sha256:" + "a" * 64
MORE: dict[str, dict[str, Any]] = {
    "as it is": {},
    "published": {"service": {"type": "NodePort", "nodePort": 30080}},
    "balanced": {"service": {"type": "LoadBalancer"}},
    "without a volume": {"outbox": {"claim": False, "size": "64Mi"}},
    "placed": {"nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "edge", "operator": "Exists"}], "replicas": 2},
    "stored": {"outbox": {"storageClassName": "fast", "accessMode": "ReadWriteMany"}},
}


def helm(folder: Path, values: dict[str, Any], *command: str) -> subprocess.CompletedProcess[str]:
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    arguments = [str(HELM), *command, "--namespace", NAMESPACE, "--values", str(file), "--kube-version", OLDEST]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60)


def same(folder: Path, name: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Lint the chart and render it with both; gives the objects."""
    path = str(chart.CHARTS / name)
    linted = helm(folder, values, "lint", "--strict", path)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    rendered = helm(folder, values, "template", name, path)
    assert rendered.returncode == 0, rendered.stderr
    public, ours = ordered([*yaml.safe_load_all(rendered.stdout)]), ordered(chart.render(name, NAMESPACE, values))
    assert public == ours
    return ours


def ordered(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(filter(None, manifests), key=lambda one: json.dumps(one, sort_keys=True))


@pytest.mark.parametrize("more", MORE.values(), ids=MORE)
@pytest.mark.parametrize("role", ["stable", "canary"])
@pytest.mark.parametrize("site", sites())
def test_the_scorer(site: str, role: str, more: dict[str, Any], tmp_path: Path) -> None:
    request = Request("wind_power", site, NAMESPACE, IMAGE, {**yaml.safe_load(scoring_values(site)), **more})
    found = same(tmp_path, "scorer", scorer.values(request, IMAGE, role))
    claimed = role == "stable" and more.get("outbox", {}).get("claim", True)
    assert [one["kind"] for one in found].count("PersistentVolumeClaim") == claimed
    (service,) = (one["spec"] for one in found if one["kind"] == "Service")
    assert service["type"] == (more.get("service", {}).get("type", "ClusterIP") if role == "stable" else "ClusterIP")


@pytest.mark.parametrize("site", sites())
def test_the_site(site: str, home: Home, tmp_path: Path) -> None:
    kinds = {one["kind"] for one in same(tmp_path, "site", embedded.values(home, site, services(home)))}
    assert {"Role", "ServiceAccount", "Secret", "ConfigMap", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} <= kinds


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"image": "registry.example/edgeloop/wind-power:latest"}, "image"),
        ({"replcas": 2}, "replcas"),
        ({"service": {"type": "Ingress"}}, "service"),
    ],
)
def test_both_refuse_the_same_values(wrong: dict[str, Any], said: str, tmp_path: Path) -> None:
    request = Request("wind_power", "north", NAMESPACE, IMAGE, yaml.safe_load(scoring_values("north")))
    values = {**scorer.values(request, IMAGE, "stable"), **wrong}
    refused = helm(tmp_path, values, "template", "scorer", str(chart.CHARTS / "scorer"))
    assert refused.returncode != 0
    assert said in refused.stderr
    with pytest.raises(chart.ChartError, match=said):
        chart.render("scorer", NAMESPACE, values)
