"""What a node agent is told: its name, its folders, its addresses."""

from dataclasses import dataclass
from pathlib import Path


class NodeError(Exception):
    """Something that a node agent could not do. The tree: ApiError, ImageError, ConfigError."""


class ConfigError(NodeError):
    """A pod refers to something that is not there, or to something that this node cannot do."""


@dataclass(frozen=True)
class Settings:
    """The place of one node agent."""

    node: str
    home: Path
    """EDGELOOP_HOME, carried by every process."""
    folder: Path
    """State of this node: pods, claims."""
    images: Path
    """Cache of images; nodes may share it."""
    pod_network: str
    """First two numbers of the pods' addresses: `127.31`."""
    port: int
    """Port of the logs."""
    ca: Path
    certificate: Path
    key: Path
    address: str = "127.0.0.1"
    """What the Node object says. The API server asks for logs there, so it is an address of this machine."""
    bind: str = "127.0.0.1"
    """Address that logs and node ports are served on; `0.0.0.0`: every one of this machine."""
    host: str = "localhost"
    """Name by which others reach the node ports."""
