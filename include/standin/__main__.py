"""The embedded cloud: `python -m include.standin up|down|status|run <program>`. Its folder: EDGELOOP_HOME, else `.edgeloop`.

In containers the steps of `up` are apart: `keys`, then `stay <program> ...` in each, then `set-up`.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from include.standin import processes, supervision
from include.standin.home import Home, HomeError
from include.standin.programs import Program, UnknownProgram, programs, run
from include.standin.supervision import SupervisionError, Supervisor


def up(home: Home, only: list[str] | None = None) -> None:
    """Start everything (or the programs named), set up storage and connections, and say where things are."""
    started = Supervisor(home, named(home, only)).up()
    if not only:
        set_up(home)
    print(f"the embedded cloud in {home.path} {'is up' if started else 'was up already'}: {home.url('cloud')}")


def named(home: Home, names: list[str] | None) -> list[Program]:
    """The programs of these names (none: every one); UnknownProgram when there is none of a name."""
    wanted = [program for program in programs(home) if not names or program.name in names]
    unknown = {*(names or [])} - {program.name for program in wanted}
    if unknown:
        raise UnknownProgram(f"there is no program {sorted(unknown)[0]!r}")
    return wanted


def set_up(home: Home, airflow: Path | None = None) -> None:
    """Storage, base images, sites and Connections of a cloud whose programs run. `airflow`: folder for what Airflow gets of it."""
    from include.standin import connections, registries, sites
    from include.standin.storage.set_up import set_up as set_up_storage

    set_up_storage(home)
    services = connections.services(home)
    registries.fill(services)
    sites.set_up_all(home, services)
    found = connections.connections(home)
    print(f"connections: {connections.write(home, found)}")
    if airflow is not None:
        print(f"for Airflow: {connections.hand_out(home, found, airflow)}")


def stay(home: Home, names: list[str]) -> None:
    """Run the programs until SIGTERM, in the foreground. Programs of a site whose cluster is elsewhere have nothing to do."""
    if home.place.site_kubeconfig and all(name.startswith(("kubernetes-", "node-")) for name in names):
        print(f"the sites are on the cluster of {home.place.site_kubeconfig}: nothing to do here", flush=True)
        while True:
            time.sleep(3600)
    Supervisor(home, named(home, names), f"containers-{names[0]}").become()


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.standin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything").add_argument("programs", nargs="*", help="only these")
    commands.add_parser("down", help="stop everything")
    commands.add_parser("status", help="say how everything is")
    commands.add_parser("run", help="run one program in the foreground").add_argument("program")
    commands.add_parser("stay", help="run some programs in the foreground").add_argument("programs", nargs="+")
    keys = commands.add_parser("keys", help="write secrets for containers of other images")
    keys.add_argument("folder", type=Path)
    after = commands.add_parser("set-up", help="what `up` does when the programs run")
    after.add_argument("--airflow", type=Path, help="folder for the Connections and the CA that Airflow gets")
    return parser


def _carry_out(said: argparse.Namespace, home: Home) -> int:
    if said.command == "status":
        return status(home)
    if said.command == "keys":
        from include.standin import keys

        keys.hand_out(home, said.folder)
    elif said.command == "set-up":
        set_up(home, said.airflow)
    elif said.command == "stay":
        stay(home, said.programs)
    elif said.command == "up":
        up(home, said.programs)
    elif said.command == "down":
        down(home)
    else:
        run(home, said.program)
    return 0


def main(arguments: list[str]) -> int:
    """The command; gives its exit code."""
    said = _parser().parse_args(arguments)
    try:
        if said.command == "down" and not Home.exists():
            print("there is no embedded cloud here")
            return 0
        home = Home.open()
        os.environ["EDGELOOP_HOME"] = str(home.path)
        return _carry_out(said, home)
    except (HomeError, SupervisionError, UnknownProgram) as error:
        print(error.args[0] if error.args else error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
