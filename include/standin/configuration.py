"""The configuration file of supervisord."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from include.standin.home import Home
from include.standin.programs import Program

ROOT = Path(__file__).parents[2]
"""The checkout; every program starts there."""
LARGEST_LOG = "5MB"
RETRIES = 20
"""Failed starts in a row, each a second later than the one before, until a program is given up."""

SUPERVISOR = """\
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
logfile={folder}/{name}.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile={folder}/{name}.pid
childlogdir={logs}
directory={root}
umask=077
minfds=1024
silent=true

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}
"""

PROGRAM = """
[program:{name}]
command={command}
directory={root}
priority={priority}
autostart=true
autorestart=true
startsecs=1
startretries={retries}
stopsignal=TERM
stopwaitsecs={stop_within}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes={largest}
stdout_logfile_backups=1
"""


class ConfigurationError(ValueError):
    """Something that supervisord's file cannot say."""


def write(home: Home, name: str, programs: Iterable[Program], socket: Path, *, console: bool = False) -> Path:
    """`supervisor/<name>.conf`. Programs get the supervisor's environment; they print into `logs/`, or, with `console`, where it prints."""
    folder, logs = home.folder("supervisor"), home.folder("logs")
    for path in (folder, ROOT, socket):
        if any(sign in str(path) for sign in "%;\n"):
            raise ConfigurationError(
                f"{str(path)!r} has a sign that supervisord cannot take (percent, semicolon or line break): choose another folder"
            )
    text = SUPERVISOR.format(socket=socket, folder=folder, logs=logs, root=ROOT, name=name)
    for number, program in enumerate(programs, start=1):
        text += _program(program, number, None if console else logs / f"{program.name}.log")
    file = folder / f"{name}.conf"
    file.write_text(text, encoding="utf-8")
    return file


def _program(program: Program, number: int, log: Path | None) -> str:
    return PROGRAM.format(
        name=program.name,
        command=_literal(shlex.join(program.command)),
        root=ROOT,
        priority=number,
        retries=RETRIES,
        stop_within=program.stop_within,
        log=log or "/dev/stdout",
        largest=LARGEST_LOG if log else 0,  # 0: it is no file, and is not turned over
    )


def _literal(value: str) -> str:
    """supervisord expands %(...)s, and takes what follows a blank and a semicolon for a comment."""
    if " ;" in value or "\n" in value:
        raise ConfigurationError(f"a program's command cannot hold ' ;' or a line break: {value[:80]!r}")
    return value.replace("%", "%%")
