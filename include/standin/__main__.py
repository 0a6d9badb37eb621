"""The embedded cloud: `python -m include.standin up|down|status|run <program>`. Its folder: EDGELOOP_HOME, else `.edgeloop`."""

import argparse
import os
import sys

from include.standin import processes, supervision
from include.standin.home import Home, HomeError
from include.standin.programs import UnknownProgram, programs, run
from include.standin.supervision import SupervisionError, Supervisor


def up(home: Home, only: list[str] | None = None) -> None:
    """Start everything (or the programs named), set up storage and connections, and say where things are."""
    wanted = [program for program in programs(home) if not only or program.name in only]
    unknown = {*(only or [])} - {program.name for program in wanted}
    if unknown:
        raise UnknownProgram(f"there is no program {sorted(unknown)[0]!r}")
    started = Supervisor(home, wanted).up()
    if not only:
        _set_up(home)
    print(f"the embedded cloud in {home.path} {'is up' if started else 'was up already'}: {home.url('cloud')}")


def _set_up(home: Home) -> None:
    from include.standin import connections, sites
    from include.standin.storage.set_up import set_up

    set_up(home)
    sites.set_up_all(home)
    print(f"connections: {connections.write(home)}")


def down(home: Home) -> None:
    """Stop everything of this home, whoever started it."""
    airflow, standin = Supervisor(home, [], "airflow"), Supervisor(home, [])
    for supervisor in (airflow, standin):
        supervisor.stop()
    ended = processes.end_all(home)
    for name in ended:
        print(f"ended {name}")
    print(f"the embedded cloud in {home.path} is down")


def status(home: Home) -> int:
    """Print every program's state; 0 when all are well."""
    states = Supervisor(home, programs(home)).status()
    print(supervision.describe(states))
    return 0 if all(state.well for state in states) else 1


def main(arguments: list[str]) -> int:
    """The command; gives its exit code."""
    parser = argparse.ArgumentParser(prog="python -m include.standin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything").add_argument("programs", nargs="*", help="only these")
    commands.add_parser("down", help="stop everything")
    commands.add_parser("status", help="say how everything is")
    commands.add_parser("run", help="run one program in the foreground").add_argument("program")
    said = parser.parse_args(arguments)
    try:
        if said.command == "down" and not Home.exists():
            print("there is no embedded cloud here")
            return 0
        home = Home.open()
        os.environ["EDGELOOP_HOME"] = str(home.path)
        if said.command == "status":
            return status(home)
        {"up": lambda: up(home, said.programs), "down": lambda: down(home), "run": lambda: run(home, said.program)}[said.command]()
    except (HomeError, SupervisionError, UnknownProgram) as error:
        print(error.args[0] if error.args else error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
