"""`python -m include.scoring`: serve until SIGTERM."""

import logging
import os
import signal
import sys

from include.domain import naming
from include.scoring.model import Model, ModelError
from include.scoring.outbox import OutboxError
from include.scoring.outboxes import Outboxes
from include.scoring.service import Service
from include.scoring.settings import Settings, SettingsError
from include.scoring.shipper import Shipper

log = logging.getLogger("include.scoring")


def build(settings: Settings) -> Service:
    """The service: model loaded and warm, outbox held, shipper running."""
    model = Model.load(settings.model_dir, settings.workload, settings.threads)
    if settings.outbox is None:
        return Service(model, settings)
    outboxes = Outboxes(settings.outbox, settings.outbox_bytes)
    return Service(model, settings, outboxes, _shipper(settings, outboxes))


def _shipper(settings: Settings, outboxes: Outboxes) -> Shipper | None:
    if settings.link is None:
        log.warning("there is no EDGELOOP_QUEUE_ENDPOINT: events stay in the outbox")
        return None
    from include.scoring.link import sender

    shipper = Shipper(outboxes, sender(settings.link, naming.queue(settings.workload)))
    shipper.start()
    return shipper


def main() -> int:
    """Exit code 1: this scorer must not serve; the last line says why."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    try:
        settings = Settings.read(os.environ)
        service = build(settings)
    except (SettingsError, ModelError, OutboxError) as error:
        log.error("cannot serve: %s", error)
        return 1
    import uvicorn

    from include.scoring.app import create_app

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn ends in good order, then raises the signal again
    uvicorn.run(
        create_app(service),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
