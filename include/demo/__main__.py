"""`make demo`: start the embedded cloud and Airflow, turn the loop once on real data, check the end state, and say where everything is."""

import argparse
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil
from rich.console import Console
from rich.table import Table

from include.demo import airflow, checks
from include.demo.airflow import Login
from include.demo.api import AirflowApi, RunFailed
from include.demo.checks import Check
from include.demo.screen import Screen
from include.demo.story import Say, Story
from include.demo.world import World
from include.settings import ROOT
from include.standin import __main__ as standin
from include.standin import connections
from include.standin.home import SUPERVISED, Home
from include.workloads import load_all

CHAPTERS = (
    "start the embedded cloud and Airflow",
    "the historians export 2014 and January 2015",
    "ingest and validate",
    "train and promote the first model",
    "roll out to the sites, wave after wave",
    "users send January 2015 for scoring",
    "drain into compliant storage",
    "publish the global page",
    "people answer anomalies",
    "retrain with the answers",
    "settle",
    "check the end state",
)


def main(argv: list[str]) -> int:
    """0 when the loop turned and every check holds; 1 with the failing task's log or the check that does not hold."""
    parser = argparse.ArgumentParser(prog="python -m include.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the summary instead of staying on the screen")
    parser.add_argument("--in-containers", action="store_true", help="drive what `docker compose up` started, from a container beside it")
    said = parser.parse_args(argv)
    home = Home.open()
    screen = Screen([*CHAPTERS])
    try:
        with screen.shown():
            story, seen = tell(home, screen, started=said.in_containers)
    except RunFailed as failure:
        screen.console.print(str(failure), markup=False)
        return 1
    summary(home, story, seen, screen, _published if said.in_containers else str)
    if any(checks.failed(seen)):
        return 1
    if not said.once:
        stay(screen.console)
    return 0


def tell(home: Home, screen: Screen, *, started: bool) -> tuple[Story, list[Check]]:
    """Every chapter in order. `started`: the embedded cloud and Airflow run already."""
    with screen.chapter(CHAPTERS[0]) as say:
        if not started:
            start(home)
        api = listed(airflow.login(home), say)
    story = Story(load_all()[0], api, World(connections.read(home), load_all()[0]))
    acts = [
        story.export,
        story.ingest,
        story.first_model,
        story.roll_out,
        story.replay,
        story.drain,
        story.publish,
        story.feedback,
        story.retrain,
        story.settle,
    ]
    for title, act in zip(CHAPTERS[1:], acts, strict=False):
        with screen.chapter(title) as say:
            act(say)
    with screen.chapter(CHAPTERS[-1]) as say:
        seen = checks.end_state(story)
        say(f"{sum(check.holds for check in seen)} of {len(seen)} hold")
    return story, seen


def start(home: Home) -> None:
    """The embedded cloud and Airflow, at the same time."""
    with ThreadPoolExecutor(2) as pool:
        cloud = pool.submit(standin.up, home)
        database = pool.submit(airflow.migrate, home)
        cloud.result()
        database.result()
    airflow.up(home)


def listed(login: Login, say: Say) -> AirflowApi:
    """A client of Airflow, as soon as every DAG is listed there."""
    api = AirflowApi(login.url, login.user, login.password)
    stages = [file.stem for file in (ROOT / "dags").glob("*.py")]
    wanted = {f"{w.name}.{stage}" for w in load_all() for stage in stages}
    while missing := wanted - api.dags():
        errors = api.import_errors()
        if errors:
            raise RunFailed("a DAG file cannot be read:\n" + "\n".join(errors))
        say(f"waiting for {len(missing)} DAGs")
        time.sleep(0.5)
    say(f"{len(wanted)} DAGs at {login.url}")
    return api


def summary(home: Home, story: Story, seen: list[Check], screen: Screen, shown: Callable[[str], str]) -> None:
    """What holds, and where to look. `shown`: a URL as people reach it."""
    console = screen.console
    for check in seen:
        console.print(f"{'holds ' if check.holds else 'FAILS '} {check.what}: {check.seen}", markup=False, soft_wrap=True)
    login = airflow.login(home)
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_row("Airflow", f"{shown(login.url)} (user {login.user}, password {login.password})")
    table.add_row("the loop", f"{shown(login.url)}/assets (an asset, then Task Dependencies)")
    for edge in story.edges():
        table.add_row(f"scorer {edge.site}", f"{shown(edge.url)}/")
    table.add_row("Data Docs", shown(story.world.docs_url or "none"))
    table.add_row("global page", shown(story.world.page_url))
    table.add_row("CA of the pages", str(home.ca))
    console.print(table)
    if shown is str:
        console.print(f"{screen.elapsed:.0f} s; {memory(home):.1f} GiB of memory now; end it with `make down`", markup=False)
    else:
        console.print(f"{screen.elapsed:.0f} s; end it with `docker compose down --volumes`", markup=False)


def _published(url: str) -> str:
    """A container's URL as it is outside: its ports are published on loopback under the same numbers."""
    return re.sub(r"^(https?://)[^:/]+", r"\1localhost", url)


def memory(home: Home) -> float:
    """GiB that the processes of this home hold, shared pages counted once."""
    total = 0
    for process in psutil.process_iter():
        try:
            if process.environ().get(SUPERVISED) == str(home.path):
                total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return total / 2**30


def stay(console: Console) -> None:
    """Until Ctrl-C; everything goes on after it, `make down` ends it."""
    console.print("It stays up. Ctrl-C leaves this screen; `make down` ends everything.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
