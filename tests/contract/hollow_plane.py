"""A real control plane without nodes: etcd, kube-apiserver, kube-controller-manager and kube-scheduler, on loopback."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from include.standin.home import Home

CONTROLLERS = (
    "deployment-controller,replicaset-controller,garbage-collector-controller,namespace-controller,serviceaccount-controller,"
    "root-ca-certificate-publisher-controller,endpointslice-controller,node-lifecycle-controller,pod-garbage-collector-controller"
)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def kubeconfig(home: Home, site: str, token: str) -> Path:
    cluster = {"server": f"https://127.0.0.1:{home.port(f'kubernetes-{site}')}", "certificate-authority": str(home.ca)}
    path = home.folder("kube") / f"{site}.kubeconfig"
    said = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": site, "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": site, "context": {"cluster": site, "user": "admin"}}],
        "current-context": site,
    }
    path.write_text(yaml.safe_dump(said))
    return path


def service_account_keys(folder: Path) -> tuple[Path, Path]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private, public = folder / "sa.key", folder / "sa.pub"
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain))
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, info))
    return private, public


@contextlib.contextmanager
def programs(folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    try:
        yield started
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def hollow_plane(home: Home, site: str, binaries: Path, folder: Path) -> Iterator[Path]:
    """The administrator's kubeconfig of a real API server at the site's port; service addresses are the site's."""
    private, public = service_account_keys(folder)
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    config = kubeconfig(home, site, token)
    etcd, peer, manager, scheduler = free_ports(4)
    client, peers = f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{peer}"
    with programs(folder) as started:

        def start(name: str, **flags: object) -> None:
            arguments = [f"--{flag.replace('_', '-')}={value}" for flag, value in flags.items()]
            with (folder / f"{name}.log").open("wb") as log:
                started.append(subprocess.Popen([binaries / name, *arguments], stdout=log, stderr=log, cwd=folder, env=dict(os.environ)))

        start(
            "etcd",
            data_dir=folder / "etcd",
            listen_client_urls=client,
            advertise_client_urls=client,
            listen_peer_urls=peers,
            initial_advertise_peer_urls=peers,
            initial_cluster=f"default={peers}",
            log_level="warn",
            unsafe_no_fsync="true",
        )
        start(
            "kube-apiserver",
            etcd_servers=client,
            service_cluster_ip_range=f"127.{60 + home.site_number(site)}.0.0/16",
            bind_address="127.0.0.1",
            advertise_address="10.255.0.1",
            endpoint_reconciler_type="none",
            secure_port=home.port(f"kubernetes-{site}"),
            tls_cert_file=home.cert,
            tls_private_key_file=home.key,
            token_auth_file=folder / "tokens.csv",
            service_account_key_file=public,
            service_account_signing_key_file=private,
            service_account_issuer="https://kubernetes.default.svc",
            authorization_mode="RBAC",
            kubelet_certificate_authority=home.ca,
            kubelet_preferred_address_types="InternalIP",
            profiling="false",
        )
        wait_ready(home, site, token)
        start(
            "kube-controller-manager",
            kubeconfig=config,
            service_account_private_key_file=private,
            root_ca_file=home.ca,
            leader_elect="false",
            bind_address="127.0.0.1",
            secure_port=manager,
            controllers=CONTROLLERS,
        )
        start("kube-scheduler", kubeconfig=config, leader_elect="false", bind_address="127.0.0.1", secure_port=scheduler)
        yield config


def wait_ready(home: Home, site: str, token: str) -> None:
    url, until = f"https://127.0.0.1:{home.port(f'kubernetes-{site}')}/readyz", time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, headers={"Authorization": f"Bearer {token}"}, verify=str(home.ca)).status_code == 200:
                return
        time.sleep(0.2)
    raise TimeoutError(f"kube-apiserver is not ready at {url}")
