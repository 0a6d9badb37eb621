"""`python -m include.rollout canary|judge|finish|roll-back`: one step, in the site's cluster. `set-up`: what an administrator does once."""

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict

from kubernetes.client.exceptions import ApiException

from include.domain.rollout import FreezeError
from include.oci.exceptions import OciError
from include.rollout import set_up, steps
from include.rollout.chart import ChartError
from include.rollout.cluster import Cluster
from include.rollout.request import Request, RequestError
from include.rollout.state import State

log = logging.getLogger(__name__)
STEPS: dict[str, Callable[[Cluster, Request], State]] = {
    "canary": steps.canary,
    "judge": steps.assess,
    "finish": steps.finish,
    "roll-back": steps.roll_back,
}


def main(argv: list[str]) -> int:
    """Exit code 0: the step did its work, whatever the verdict (it is in the state). 1: it broke, try again. 2: mend what it was given."""
    parser = argparse.ArgumentParser(prog="python -m include.rollout", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in STEPS:
        commands.add_parser(name)
    set_up.add_arguments(commands.add_parser("set-up", help="namespace, roles, trust and admission policy of a site"))
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.command == "set-up":
        return set_up.run(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the first process of a container ignores it otherwise
    try:
        request = Request.from_environment()
        state = STEPS[arguments.command](Cluster(request.namespace), request)
    except (RequestError, FreezeError, ChartError) as error:
        print(error, file=sys.stderr)
        return 2
    except (ApiException, OciError, LookupError) as error:
        log.debug("the step broke", exc_info=True)
        print(f"{arguments.command} broke and may be tried again: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(state), indent=1))
    print(f"{request.site}: {state.verdict or 'not judged yet'}{': ' + '; '.join(state.reasons) if state.reasons else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
