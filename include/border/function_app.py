"""The drain as an Azure Function: started by the queue, stores the message it was given and whatever else lies there.

Deploy the checkout's `include/` with this file and host.json at the top; settings: `include.border.settings`, and `EdgeloopStorage`
(connection string of the site's account) for the trigger.
"""

import logging
import os
import time

import azure.functions as func

from include.border.drain import drain
from include.border.messages import Received
from include.border.settings import Settings
from include.domain import naming

SECONDS = 240
"""A function on the consumption plan may run five minutes."""

app = func.FunctionApp()
settings = Settings.read(os.environ)


@app.function_name("drain")
@app.queue_trigger(arg_name="message", queue_name=naming.queue(settings.workload), connection="EdgeloopStorage")
def drain_queue(message: func.QueueMessage) -> None:
    """The host deletes the message when this returns, and gives it again when it raises."""
    report = drain(
        settings.queue,
        settings.poison,
        settings.container,
        settings.policy,
        workload=settings.workload,
        site=settings.site,
        pseudonym_key=settings.pseudonym_key,
        deadline=time.time() + SECONDS,
        first=[Received(message.id, message.get_body().decode(errors="replace"))],
    )
    logging.info("stored %d, refused %d, poisoned %d", report.stored, report.refused.total(), report.poisoned.total())
