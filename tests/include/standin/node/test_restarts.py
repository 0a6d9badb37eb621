"""Whatever is killed: the agent, a keeper, a pod, the registry. Nothing is lost and nothing is left."""

import os
import signal
import threading

import pytest

from tests.include.standin.node.site import NAMESPACE, Site, carriers, wait


def test_deletion_is_graceful(site: Site) -> None:
    site.pod("graceful", site.tiny)
    address = site.phase("graceful", "Running").status.pod_ip
    wait("the server", lambda: site.ask(address))
    lines: list[str] = []
    follower = threading.Thread(target=lambda: lines.extend(site.log("graceful", follow=True).splitlines()))
    follower.start()
    process = site.ask(address)["pid"]
    site.delete("graceful")
    site.gone("graceful")
    follower.join(10)
    assert lines[0] == "starting"
    assert lines[-1] == "stopping"
    assert process not in carriers(site.home.path)
    assert not list((site.home.path / "node-north" / "pods").glob(f"{NAMESPACE}_graceful_*")) or wait(
        "its folder gone", lambda: not site.keepers("graceful")
    )


def test_grace_ends_with_sigkill_of_the_group(site: Site) -> None:
    text = (
        "import os, signal, subprocess, sys, time; signal.signal(15, signal.SIG_IGN); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)']); print(child.pid, flush=True); time.sleep(100)"
    )
    site.script("stubborn", text, spec={"terminationGracePeriodSeconds": 1})
    child = int(wait("its child", lambda: site.log("stubborn")))
    site.delete("stubborn")
    site.gone("stubborn")
    wait("the child's end", lambda: child not in carriers(site.home.path))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_agent_restarts_and_adopts(site: Site, number: int) -> None:
    name = f"adopted-{int(number)}"
    probe = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1}
    site.pod(name, site.tiny, readinessProbe=probe, spec={"restartPolicy": "Always"})
    address = site.ready(name).status.pod_ip
    before = site.ask(address, "/before")
    site.script(f"ends-{int(number)}", "import time; time.sleep(1); print('done'); raise SystemExit(7)")
    site.phase(f"ends-{int(number)}", "Running")
    site.stop(number)
    assert site.ask(address, "/between")["pid"] == before["pid"]
    site.start()
    site.phase(f"ends-{int(number)}", "Failed")
    assert site.state(f"ends-{int(number)}").state.terminated.exit_code == 7
    assert site.ask(address, "/after")["pid"] == before["pid"]
    assert site.state(name).restart_count == 0
    assert site.log(name).splitlines() == ["starting", "asked /before", "asked /between", "asked /after"]
    assert site.read(name).status.pod_ip == address
    site.delete(name)
    site.gone(name)
    assert before["pid"] not in carriers(site.home.path)


def test_pod_deleted_while_the_agent_was_away(site: Site) -> None:
    for name in ("forced", "asked"):
        site.pod(name, site.tiny)
        site.phase(name, "Running")
    site.stop(signal.SIGKILL)
    keepers = site.keepers("forced") + site.keepers("asked")
    assert set(keepers) <= set(carriers(site.home.path))
    site.delete("forced", grace_period_seconds=0)
    site.delete("asked")
    site.start()
    site.gone("forced")
    site.gone("asked")
    wait("their end", lambda: not set(keepers) & set(carriers(site.home.path)))


def test_killed_keeper_restarts_the_container_and_leaves_no_orphan(site: Site) -> None:
    site.pod("kept", site.tiny, spec={"restartPolicy": "Always"})
    address = site.phase("kept", "Running").status.pod_ip
    before = wait("the server", lambda: site.ask(address))
    os.kill(site.keepers("kept")[0], signal.SIGKILL)
    after = wait("the next", lambda: (found := site.ask(address))["pid"] != before["pid"] and found)
    assert after["host"] == address
    assert before["pid"] not in carriers(site.home.path)
    assert site.state("kept").restart_count == 1
    assert site.state("kept").last_state.terminated.exit_code == 137
    site.delete("kept")
    site.gone("kept")


def test_keeper_killed_while_the_agent_is_away(site: Site) -> None:
    site.pod("alone", site.tiny, spec={"restartPolicy": "Always"})
    address = site.phase("alone", "Running").status.pod_ip
    before = wait("the server", lambda: site.ask(address))
    site.stop(signal.SIGKILL)
    os.kill(site.keepers("alone")[0], signal.SIGKILL)
    site.start()
    after = wait("the next", lambda: (found := site.ask(address))["pid"] != before["pid"] and found)
    assert after["host"] == address
    site.delete("alone")
    site.gone("alone")


def test_registry_away_is_no_matter_for_what_runs(site: Site) -> None:
    site.pod("registry-away", site.tiny)
    address = site.phase("registry-away", "Running").status.pod_ip
    before = wait("the server", lambda: site.ask(address))
    folder = site.home.path / "images"
    site.stop()
    folder.rename(folder.with_name("images-away"))  # the running pod's image is gone as well: adoption asks for none
    site.start()
    wait("it is known", lambda: site.log("registry-away"))
    assert site.state("registry-away").state.running is not None
    assert site.ask(address)["pid"] == before["pid"]
    assert not [message for reason, message in site.events("registry-away") if reason == "Failed"]
    site.delete("registry-away")
    site.gone("registry-away")
