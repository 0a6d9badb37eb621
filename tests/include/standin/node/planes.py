"""A whole site for the tests: an API server (the stand-in, or a real one), a registry of releases, and the node agent."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from include.standin.container_registry import create
from include.standin.home import Home, free_port_base
from include.standin.serving import Background, create_app
from tests.contract.hollow_plane import hollow_plane
from tests.include.standin.node.site import ROOT, Site


@contextlib.contextmanager
def standin_plane(home: Home, site: str) -> Iterator[Path]:
    """The stand-in's API server as a process; the administrator's kubeconfig."""
    from include.standin.kubernetes import kubeconfig

    code = "from include.standin.home import Home; from include.standin import kubernetes; "
    code += f"kubernetes.run(Home.create({str(home.path)!r}), {site!r})"
    with (home.folder("logs") / "api.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=log, stderr=log)
    try:
        yield kubeconfig.write(home, site)
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def running_site(folder: Path, binaries: str | None) -> Iterator[Site]:
    """The site `north` in a folder; `binaries`: the folder of a real kube-apiserver and its companions."""
    home = Home.create(folder / "home", free_port_base(2))
    if binaries:
        (folder / "plane").mkdir()
        plane = hollow_plane(home, "north", Path(binaries), folder / "plane")
    else:
        plane = standin_plane(home, "north")
    with plane as kubeconfig, Background(create_app(home, create(home, "releases")), home, home.port("releases")):
        found = Site(home, "north", kubeconfig)
        try:
            found.start()
            found.set_up()
            yield found
        finally:
            found.tear_down()
