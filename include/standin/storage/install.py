"""Install the pinned Azurite beside this Python: `python -m include.standin.storage.install`. A second call is instant."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from include.standin.storage.node import npm

HERE = Path(__file__).parent
PINS = ("package.json", "package-lock.json")


def folder() -> Path:
    """Where Azurite lies: EDGELOOP_AZURITE, else `azurite/` of the virtual environment."""
    return Path(os.environ.get("EDGELOOP_AZURITE") or Path(sys.prefix) / "azurite")


def program() -> Path:
    """Azurite's script; FileNotFoundError says what to run."""
    found = folder() / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    if not found.exists():
        raise FileNotFoundError(f"{found} is missing: run `make install`")
    return found


def install() -> None:
    """`npm ci` of the pins, unless just these are installed already."""
    target = folder()
    target.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in PINS)).hexdigest()
    stamp = target / ".installed"
    with (target / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        for name in PINS:
            shutil.copyfile(HERE / name, target / name)
        command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", "--loglevel=error"]
        subprocess.run(command, cwd=target, check=True, env={**os.environ, "npm_config_update_notifier": "false"})
        stamp.write_text(wanted)


if __name__ == "__main__":
    install()
