"""Objects outlive the API server: ended, and killed."""

import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import kubernetes
import pytest

from include.standin.home import Home, free_port_base
from include.standin.kubernetes import kubeconfig

PROGRAM = """
import sys
from include.standin import kubernetes
from include.standin.home import Home
kubernetes.run(Home.create(sys.argv[1]), "north")
"""


def start(home: Home) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(home.path)])
    context = ssl.create_default_context(cafile=str(home.ca))
    for _ in range(300):
        try:
            urllib.request.urlopen(home.url("kubernetes-north") + "/readyz", context=context, timeout=2)
            return process
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, "the API server did not start"
            time.sleep(0.1)
    process.kill()
    raise AssertionError("the API server did not answer within 30 seconds")


def test_nothing_is_lost_and_revisions_go_on(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = Home.create(tmp_path_factory.mktemp("restart"), free_port_base(1), sites=["north"])
    process = start(home)
    try:
        client = kubernetes.config.new_client_from_config(str(kubeconfig.write(home, "north")))
        core = kubernetes.client.CoreV1Api(client)
        core.create_namespace({"metadata": {"name": "kept"}})
        made: list[Any] = []
        for end in (signal.SIGTERM, signal.SIGKILL):
            names = [f"{end.name.lower()}-{n}" for n in range(20)]
            made += [core.create_namespaced_config_map("kept", {"metadata": {"name": name}, "data": {"n": name}}) for name in names]
            process.send_signal(end)
            process.wait(30)
            process = start(home)
            found = core.list_namespaced_config_map("kept")
            kept = {one.metadata.name: one.metadata.uid for one in found.items}
            assert {one.metadata.name: one.metadata.uid for one in made}.items() <= kept.items()
            assert int(found.metadata.resource_version) > int(made[-1].metadata.resource_version)
    finally:
        process.kill()
        process.wait(30)
