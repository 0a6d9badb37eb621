"""Programs come back when they are killed, and `down` leaves nothing."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from include.standin import __main__ as command
from include.standin import processes
from include.standin.home import SUPERVISED, Home, free_port_base
from include.standin.programs import Program, UnknownProgram, programs, run
from include.standin.supervision import SupervisionError, Supervisor, socket_path

SERVER = """
import http.server, os, signal, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *a): print("asked", flush=True)
print("starting", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


@pytest.fixture
def home(tmp_path):
    found = Home.create(tmp_path / "a home with spaces", free_port_base(1), ["north"])
    yield found
    with suppress(SupervisionError):
        Supervisor(found, []).stop()
    processes.end_all(found, 3)


def _program(home: Home, name: str = "one", port: str = "cloud") -> Program:
    number = home.port(port)
    script = home.folder("script") / "server.py"
    script.write_text(SERVER)
    return Program(name, (sys.executable, str(script), str(number)), (number,), f"http://127.0.0.1:{number}/", stop_within=5)


def _wait(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come true within 30 s"
        time.sleep(0.1)


def test_a_killed_program_comes_back_and_down_leaves_nothing(home, capsys):
    supervisor = Supervisor(home, [_program(home), _program(home, "two", "blob")])
    assert supervisor.up()
    before = {state.name: state.pid for state in supervisor.status()}
    os.kill(before["one"], signal.SIGKILL)
    _wait(lambda: all(state.well and state.pid for state in supervisor.status()) and supervisor.status()[0].pid != before["one"])
    after = {state.name: state.pid for state in supervisor.status()}
    assert after["two"] == before["two"]

    stray = subprocess.Popen(
        [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"],
        env={**os.environ, SUPERVISED: str(home.path)},
        start_new_session=True,
    )
    _wait(lambda: processes.of_home(home) and stray.pid in {process.pid for process in processes.of_home(home)})
    Supervisor(home, []).stop()
    processes.end_all(home, grace=1)
    stray.wait(5)
    assert not any(psutil.pid_exists(pid) for pid in (*after.values(), stray.pid))
    assert not processes.of_home(home)


def test_a_second_up_changes_nothing(home):
    supervisor = Supervisor(home, [_program(home)])
    assert supervisor.up()
    before = supervisor.status()
    assert not supervisor.up()
    assert supervisor.status() == before


def test_up_adds_what_is_missing(home):
    Supervisor(home, [_program(home)]).up()
    both = Supervisor(home, [_program(home), _program(home, "two", "blob")])
    first = both.status()[0].pid
    assert both.up()
    assert both.status()[0].pid == first
    assert both.status()[1].well


def test_a_killed_supervisor_is_replaced(home):
    supervisor = Supervisor(home, [_program(home)])
    supervisor.up()
    pid = int((supervisor.folder / "standin.pid").read_text())
    orphan = supervisor.status()[0].pid
    os.kill(pid, signal.SIGKILL)
    _wait(lambda: not psutil.pid_exists(pid))
    assert supervisor.up()
    assert supervisor.status()[0].well
    assert not psutil.pid_exists(orphan)


def test_a_port_in_use_is_named_with_the_way_out(home):
    port = home.port("cloud")
    refusal = pytest.raises(SupervisionError, match=rf"port {port}, which one needs, is in use by [\s\S]*EDGELOOP_PORT_BASE")
    with socket.create_server(("127.0.0.1", port)), refusal:
        Supervisor(home, [_program(home)]).up()
    assert not Supervisor(home, []).is_up()


def test_a_program_that_cannot_start_shows_its_last_words(home, monkeypatch):
    monkeypatch.setattr("include.standin.configuration.RETRIES", 0)
    broken = Program("broken", (sys.executable, "-c", "raise SystemExit('no disk')"), (), None)
    with pytest.raises(SupervisionError, match=r"broken is (FATAL|BACKOFF|STARTING|EXITED)[\s\S]*no disk"):
        Supervisor(home, [broken, _program(home)]).up(within=10)


def test_end_all_spares_this_process_and_other_homes(home, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGELOOP_HOME", str(home.path))
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, "EDGELOOP_HOME": str(home.path), SUPERVISED: str(tmp_path / "b")},
    )
    try:
        assert processes.end_all(home) == []
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_folder_that_the_supervisor_cannot_take_is_refused(tmp_path):
    home = Home.create(tmp_path / "100%", free_port_base(1), ["north"])
    with pytest.raises(SupervisionError, match="choose another folder"):
        Supervisor(home, [_program(home)]).up()


def test_a_long_path_still_has_a_socket(tmp_path):
    home = Home.create(tmp_path / ("x" * 120), 21000, ["north"])
    assert len(str(socket_path(home, "standin"))) <= 90


def test_every_program_of_the_contract_is_there(home):
    names = [program.name for program in programs(home)]
    assert names == ["azurite-cloud", "azurite-north", "storage", "cloud", "registries", "kubernetes-north", "node-north"]
    ports = [port for program in programs(home) for port in program.ports]
    assert len({*ports}) == len(ports)


def test_unknown_programs_are_refused(home, monkeypatch, capsys):
    with pytest.raises(UnknownProgram, match="there are azurite-cloud"):
        run(home, "node-mars")
    monkeypatch.setenv("EDGELOOP_HOME", str(home.path))
    assert command.main(["up", "mars"]) == 1
    assert "mars" in capsys.readouterr().err


def test_down_makes_no_home(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EDGELOOP_HOME", str(tmp_path / "none"))
    assert command.main(["down"]) == 0
    assert not (tmp_path / "none").exists()


def test_down_of_what_is_not_up_is_fine(home, monkeypatch, capsys):
    monkeypatch.setenv("EDGELOOP_HOME", str(home.path))
    assert command.main(["down"]) == 0
    assert command.main(["status"]) == 1
    assert "ABSENT" in capsys.readouterr().out
