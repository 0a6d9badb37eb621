"""Azurite, one process for each storage account, plain http on loopback; clients come through the proxy."""

import os
from dataclasses import dataclass

from include.standin.home import Home
from include.standin.place import LOOPBACK
from include.standin.storage.install import program
from include.standin.storage.node import node

HEAP_MIB = 96
"""Node's heap: without the cap the process doubles under load and is no faster."""


@dataclass(frozen=True)
class Azurite:
    """One account's Azurite. `site` None: the cloud's account."""

    home: Home
    site: str | None = None

    @property
    def name(self) -> str:
        """Name of the program."""
        return f"azurite-{self.site or 'cloud'}"

    @property
    def account(self) -> str:
        """The one account that it keeps."""
        return self.home.account(self.site)

    @property
    def blob_port(self) -> int:
        """Port of the blob service."""
        return self.home.port(self.name)

    @property
    def queue_port(self) -> int:
        """Port of the queue service."""
        return self.home.port(f"{self.name}-queue")

    @property
    def blob_url(self) -> str:
        """Where the proxy finds the blob service; clients come through the proxy."""
        return f"http://{self._host}:{self.blob_port}"

    @property
    def queue_url(self) -> str:
        """The same of the queue service."""
        return f"http://{self._host}:{self.queue_port}"

    @property
    def _host(self) -> str:
        """This machine, unless the program is named to be elsewhere."""
        return self.home.place.hosts.get(self.name, LOOPBACK)

    @property
    def command(self) -> list[str]:
        """The process."""
        arguments = {
            "--blobHost": LOOPBACK,
            "--queueHost": LOOPBACK,
            "--tableHost": LOOPBACK,
            "--blobPort": str(self.blob_port),
            "--queuePort": str(self.queue_port),
            "--tablePort": str(self.queue_port + 1),
            "--location": str(self.home.folder(self.name)),
        }
        flags = ["--disableTelemetry", "--skipApiVersionCheck", "--silent"]
        return [str(node()), str(program()), *(word for pair in arguments.items() for word in pair), *flags]

    @property
    def environment(self) -> dict[str, str]:
        """Its environment: the account's key is not an argument, which everyone could read."""
        return {
            **os.environ,
            "EDGELOOP_HOME": str(self.home.path),
            "AZURITE_ACCOUNTS": f"{self.account}:{self.home.account_key(self.account)}",
            "NODE_OPTIONS": f"--max-old-space-size={HEAP_MIB}",
            "NODE_EXTRA_CA_CERTS": str(self.home.ca),
        }

    def run(self) -> None:
        """Become Azurite. Does not return."""
        command = self.command
        os.execve(command[0], command, self.environment)  # noqa: S606 - no shell is wanted


def all_of(home: Home) -> list[Azurite]:
    """The cloud's and every site's."""
    return [Azurite(home), *(Azurite(home, site) for site in home.sites)]
