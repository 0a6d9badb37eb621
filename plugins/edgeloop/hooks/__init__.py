"""Hooks speak the services' protocols, through the real clients, and validate their replies."""

import logging

# The SDKs tell each request and its headers at INFO: dozens of lines in a task's log before the first that says something.
for _name in ("azure", "httpx"):
    logging.getLogger(_name).setLevel(logging.WARNING)
