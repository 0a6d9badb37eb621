"""The real scorer as a process, and a link to its queue that can be cut."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
MODEL = HERE / "model"


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Scorer:
    """`python -m include.scoring` and a client of it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> "Scorer":
        port = free_port()
        said = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "MODEL_DIR": str(MODEL),
            "EDGELOOP_WORKLOAD": "wind_power",
            "EDGELOOP_RELEASE": "sha256:" + "d" * 64,
            "EDGELOOP_SITE": "north",
            "EDGELOOP_JURISDICTION": "FR",
            "EDGELOOP_OUTBOX": str(self.folder / "outbox.db"),
            **self.environment,
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "include.scoring"], env=said, stdout=log, stderr=log, cwd=self.folder)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)
        if wait:
            self.until(self._ready, "ready")
        return self

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        with suppress(httpx.TransportError):
            return self.http.get("/v2/health/ready").status_code == 200
        return False

    def until(self, seen: Callable[[], bool], what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < deadline, f"not {what} in {seconds} s: {self.log}"
            time.sleep(0.05)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def score(self, *records: dict[str, Any], **headers: str) -> httpx.Response:
        return self.http.post("/score", json={"records": list(records)}, headers=headers)

    def outbox(self) -> dict[str, int]:
        return dict(self.http.get("/outbox").json())

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def scorer(tmp_path: Path) -> Iterator[Callable[..., Scorer]]:
    """Starts scorers in a folder of the test; none outlives it."""
    started: list[Scorer] = []

    def make(*, wait: bool = True, **environment: str) -> Scorer:
        made = Scorer(tmp_path, **environment)
        started.append(made)
        return made.start(wait=wait)

    yield make
    for one in started:
        if one.process and one.process.poll() is None:
            one.process.kill()
            one.process.wait(20)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    """One scorer without a link, for tests that leave it as it is."""
    made = Scorer(tmp_path_factory.mktemp("scorer")).start()
    yield made
    made.end()


class Relay:
    """Passes bytes from a port of its own to another; a cut ends what is open and takes nothing new."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open: list[socket.socket] = []
        self._cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        self._cut = True
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._cut:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        source.close()


@pytest.fixture
def relay_to() -> Iterator[Callable[[int], Relay]]:
    """Makes relays to a port; none outlives the test."""
    made: list[Relay] = []

    def make(port: int) -> Relay:
        made.append(Relay(port))
        return made[-1]

    yield make
    for relay in made:
        relay.close()
