"""`python -m include.border drain|replay`: the border from a shell, for one workload at one site (environment: `Settings`)."""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict

from include.border.drain import drain
from include.border.replay import replay
from include.border.settings import Settings, SettingsError


def main(arguments: list[str]) -> int:
    """Prints one line of JSON: what was done."""
    parser = argparse.ArgumentParser(prog="python -m include.border", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    draining = verbs.add_parser("drain", help="bring the queue's events to compliant storage")
    draining.add_argument("--seconds", type=float, default=600, help="start no new round after so many seconds")
    replaying = verbs.add_parser("replay", help="put events back from the poison queue")
    replaying.add_argument("--reason", help="only those with this code")
    replaying.add_argument("--limit", type=int, default=1000)
    said = parser.parse_args(arguments)
    try:
        settings = Settings.read(os.environ)
        done = _replay(settings, said) if said.verb == "replay" else _drain(settings, said)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(done))
    return 0


def _replay(settings: Settings, said: argparse.Namespace) -> dict[str, object]:
    return asdict(replay(settings.poison, settings.queue, reason=said.reason, limit=said.limit))


def _drain(settings: Settings, said: argparse.Namespace) -> dict[str, object]:
    report = drain(
        settings.queue,
        settings.poison,
        settings.container,
        settings.policy,
        workload=settings.workload,
        site=settings.site,
        pseudonym_key=settings.pseudonym_key,
        deadline=time.time() + said.seconds,
    )
    return asdict(report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
