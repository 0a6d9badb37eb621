"""What the tests' images run: a server in the standard library alone, which tells about its process."""

import contextlib
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingTCPServer


class Handler(BaseHTTPRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # an agent that ends breaks off its probes
            super().handle()

    def do_GET(self) -> None:
        if self.path == "/health" and Path(os.environ.get("SICK", "/nowhere")).exists():
            return self.say(503, {})
        if self.path == "/exit":
            os._exit(5)
        if self.path != "/health":
            print("asked", self.path, flush=True)
        model = Path(os.environ["MODEL_DIR"], "model.txt")
        answer = {"answer": os.environ.get("ANSWER"), "host": os.environ["HOST"], "pid": os.getpid(), "argv": sys.argv}
        self.say(200, answer | {"model": model.read_text() if model.exists() else None, "env": dict(os.environ), "cwd": os.getcwd()})

    def say(self, code: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def stop(*_: object) -> None:
    print("stopping", flush=True)
    os._exit(0)


signal.signal(signal.SIGTERM, signal.SIG_IGN if os.environ.get("STUBBORN") else stop)
print("starting", flush=True)
TCPServer.allow_reuse_address = True
ThreadingTCPServer((os.environ["HOST"], int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
