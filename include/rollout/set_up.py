"""What an administrator does once on a site: namespace, roles, trust, the scorers' environment, and the admission policy."""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

from include.rollout import chart
from include.rollout.cluster import Cluster

POD_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `set-up`."""
    parser.add_argument("--kubeconfig", help="an administrator's; default: KUBECONFIG or ~/.kube/config")
    parser.add_argument("--namespace", default="edgeloop")
    parser.add_argument("--values", help="YAML file for the chart `site`; default: standard input (it holds secrets)")


def run(arguments: argparse.Namespace) -> int:
    """Apply it all; safe to run again."""
    text = Path(arguments.values).read_text(encoding="utf-8") if arguments.values else sys.stdin.read()
    set_up(arguments.namespace, yaml.safe_load(text), kubeconfig=arguments.kubeconfig)
    print(f"namespace {arguments.namespace} is ready for rollouts")
    return 0


def set_up(namespace: str, values: dict[str, Any], kubeconfig: str | None = None) -> None:
    """Bring a site's cluster to the state that rollouts expect. `values`: those of the chart `site`."""
    api = config.new_client_from_config(config_file=kubeconfig)
    cluster = Cluster(namespace, api)
    labels = {**POD_SECURITY, "edgeloop.io/site": str(values.get("scorer", {}).get("EDGELOOP_SITE", ""))}
    cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}])
    cluster.apply(chart.render("site", namespace, values))
    if cluster.config_map("edgeloop-approved") is None:
        client.CoreV1Api(api).create_namespaced_config_map(namespace, {"metadata": {"name": "edgeloop-approved"}})
