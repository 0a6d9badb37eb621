"""What the scorer is told by its environment (docs/contracts.md, "Scorer")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LARGEST_OUTBOX = 768 << 20
"""Bytes, of the chart's volume of 1 GiB. At about 800 an event a million events: half a year of a cut link in the first workload."""


class SettingsError(ValueError):
    """The environment lacks something or says what cannot be."""


@dataclass(frozen=True)
class Link:
    """The queue service of the site's storage account."""

    endpoint: str
    account: str
    key: str = field(repr=False)
    ca_pem: str = ""
    """PEM of the authorities that sign its certificate; empty: the system's."""


@dataclass(frozen=True)
class Settings:
    """The environment, typed."""

    workload: str
    model_dir: Path
    release: str
    host: str
    port: int
    site: str
    jurisdiction: str
    outbox: Path | None
    """None: nothing is recorded (a canary)."""
    outbox_bytes: int
    link: Link | None
    """None: events are recorded and wait for a scorer that has a link."""
    threads: int
    """Intra-op threads of onnxruntime."""

    @classmethod
    def read(cls, said: Mapping[str, str]) -> "Settings":
        """From environment variables; SettingsError names the first that is missing or wrong."""
        ships = said.get("EDGELOOP_SHIP", "true").lower()
        if ships not in ("true", "false"):
            raise SettingsError(f"EDGELOOP_SHIP is true or false, not {ships!r}")
        return cls(
            workload=_required(said, "EDGELOOP_WORKLOAD"),
            model_dir=Path(_required(said, "MODEL_DIR")),
            release=said.get("EDGELOOP_RELEASE", ""),
            host=said.get("HOST", "0.0.0.0"),  # noqa: S104 a pod's address is not known to its image
            port=_number(said, "PORT", 8080),
            site=_required(said, "EDGELOOP_SITE") if ships == "true" else said.get("EDGELOOP_SITE", ""),
            jurisdiction=_required(said, "EDGELOOP_JURISDICTION") if ships == "true" else said.get("EDGELOOP_JURISDICTION", ""),
            outbox=Path(_required(said, "EDGELOOP_OUTBOX")) if ships == "true" else None,
            outbox_bytes=_number(said, "EDGELOOP_OUTBOX_BYTES", LARGEST_OUTBOX),
            link=_link(said) if ships == "true" else None,
            threads=_number(said, "EDGELOOP_THREADS", 1),
        )


def _required(said: Mapping[str, str], name: str) -> str:
    if not said.get(name):
        raise SettingsError(f"the environment lacks {name}; docs/contracts.md says what a scorer needs")
    return said[name]


def _number(said: Mapping[str, str], name: str, default: int) -> int:
    text = said.get(name, str(default))
    if not text.isdecimal():
        raise SettingsError(f"{name} is a whole number, not {text!r}")
    return int(text)


def _link(said: Mapping[str, str]) -> Link | None:
    if not said.get("EDGELOOP_QUEUE_ENDPOINT"):
        return None
    endpoint = said["EDGELOOP_QUEUE_ENDPOINT"]
    if not endpoint.startswith("https://"):
        raise SettingsError("EDGELOOP_QUEUE_ENDPOINT is an https:// URL: events are never sent in the clear")
    return Link(
        endpoint, _required(said, "EDGELOOP_STORAGE_ACCOUNT"), _required(said, "EDGELOOP_STORAGE_KEY"), said.get("EDGELOOP_CA_PEM", "")
    )
