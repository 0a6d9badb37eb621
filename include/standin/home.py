"""One embedded cloud: its folder, its ports, its secrets. Written once; every program of it reads the same `home.json`."""

import base64
import contextlib
import json
import os
import random
import secrets
import socket
import tempfile
import uuid
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from include.settings import sites as known_sites
from include.standin import tls
from include.standin.place import Place

DEFAULT_FOLDER = ".edgeloop"
DEFAULT_PORT_BASE = 18400
PORTS_PER_SITE = 10
FIXED = {
    "cloud": 0,
    "blob": 1,
    "queue": 2,
    "candidates": 3,
    "releases": 4,
    "azurite-cloud": 5,
    "azurite-cloud-queue": 6,
    "airflow": 8,
}
"""Offsets of the programs that every embedded cloud has once (docs/contracts.md)."""
PER_SITE = {"kubernetes": 0, "node": 1, "azurite": 2, "azurite-queue": 3}
"""Offsets inside a site's ten ports."""
CLOUD_ACCOUNT = "edgeloopcloud"
SUPERVISED = "EDGELOOP_SUPERVISED"
"""Variable of every process that a home's supervisors started, and of those that these started: the home's path. `down` ends by it."""


def supervised() -> dict[str, str]:
    """The mark of this process, for the environment of one that it starts; empty where a person started it."""
    return {SUPERVISED: os.environ[SUPERVISED]} if SUPERVISED in os.environ else {}


class HomeError(Exception):
    """A home that cannot be used; the message says which and what to do."""


@dataclass(frozen=True)
class Identity:
    """What an embedded cloud invents once for itself."""

    port_base: int
    sites: tuple[str, ...]
    tenant_id: str
    subscription_id: str
    client_id: str
    client_secret: str
    token_key: str
    """HS256 key of access tokens."""
    registry_user: str
    registry_password: str
    account_keys: dict[str, str]
    """Storage account -> base64 of 64 bytes, as Azure gives them."""
    pseudonym_keys: dict[str, str]
    """Site -> the secret that its border policy pseudonymises with."""
    airflow_password: str
    airflow_secret: str
    airflow_jwt_secret: str
    group_id: str
    dataset_id: str
    place: Place = field(default_factory=Place)

    @classmethod
    def invented(cls, port_base: int, sites: tuple[str, ...], place: Place) -> "Identity":
        """Fresh ids and secrets."""
        accounts = [CLOUD_ACCOUNT, *(_account(site) for site in sites)]
        return cls(
            port_base=port_base,
            sites=sites,
            tenant_id=str(uuid.uuid4()),
            subscription_id=str(uuid.uuid4()),
            client_id=str(uuid.uuid4()),
            client_secret=secrets.token_urlsafe(32),
            token_key=secrets.token_hex(32),
            registry_user="edgeloop",
            registry_password=secrets.token_urlsafe(24),
            account_keys={account: base64.b64encode(secrets.token_bytes(64)).decode() for account in accounts},
            pseudonym_keys={site: secrets.token_hex(32) for site in sites},
            airflow_password=secrets.token_urlsafe(12),
            airflow_secret=secrets.token_hex(48),
            airflow_jwt_secret=secrets.token_hex(48),
            group_id=str(uuid.uuid4()),
            dataset_id=str(uuid.uuid4()),
            place=place,
        )

    @classmethod
    def read(cls, file: Path) -> "Identity":
        """The identity in `home.json`; HomeError when it is not one."""
        try:
            said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            known = {one.name: said[one.name] for one in fields(cls) if one.name in said or one.default_factory is MISSING}
            return cls(**known | {"sites": tuple(said["sites"]), "place": Place(**said.get("place", {}))})
        except (ValueError, KeyError, TypeError) as error:
            raise HomeError(f"{file} is damaged or of another version ({error!r}): run `make down`, then remove its folder") from error


def _account(site: str) -> str:
    return "edgeloop" + "".join(letter for letter in site.lower() if letter.isalnum())


def free_port_base(sites: int, tries: int = 50) -> int:
    """A base whose ports are all free now, outside the range that the kernel hands out; HomeError when none is found."""
    width = PORTS_PER_SITE * (sites + 1)
    for _ in range(tries):
        base = random.randrange(20000, 32000 - width, 10)  # noqa: S311 - a choice, not a secret
        if all(not port_taken(port) for port in range(base, base + width)):
            return base
    raise HomeError(f"no {width} free ports in a row between 20000 and 32000")


def port_taken(port: int, address: str = "127.0.0.1") -> bool:
    """Whether something listens on the address's port, or on that port of every address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return True
        return False


@dataclass(frozen=True)
class Home:
    """An embedded cloud on this machine."""

    path: Path
    identity: Identity

    @classmethod
    def create(cls, path: str | Path, port_base: int | None = None, sites: Iterable[str] | None = None) -> "Home":
        """The home at the path; made if there is none. A second call changes nothing.

        `port_base` None: EDGELOOP_PORT_BASE, else 18400. `sites` None: those of include/sites.yaml.
        """
        folder = Path(path).absolute()
        file = folder / "home.json"
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            base = port_base if port_base is not None else int(os.environ.get("EDGELOOP_PORT_BASE", DEFAULT_PORT_BASE))
            _write_once(file, Identity.invented(base, tuple(sites if sites is not None else known_sites()), Place.named()))
        home = cls(folder, Identity.read(file))
        if not home.place.agrees(os.environ):
            raise HomeError(f"{folder} was made for another place ({home.place}): run `make clean`, or choose another EDGELOOP_HOME")
        tls.ensure(home.folder("ca"), [*(site_service_address(n) for n, _ in enumerate(home.sites, start=1)), *home.place.names])
        return home

    @classmethod
    def open(cls) -> "Home":
        """The home that EDGELOOP_HOME names, else `.edgeloop` here; made if there is none."""
        return cls.create(_named())

    @classmethod
    def exists(cls) -> bool:
        """Whether `open` would find one."""
        return (_named() / "home.json").exists()

    def folder(self, name: str) -> Path:
        """A folder of the home, created, readable by its owner only."""
        found = self.path / name
        found.mkdir(parents=True, exist_ok=True, mode=0o700)
        return found

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, in the order that their ports follow."""
        return self.identity.sites

    def site_number(self, site: str) -> int:
        """1 for the first site; KeyError for a site that this home does not have."""
        if site not in self.sites:
            raise KeyError(f"site {site!r} is not in this home, which has {', '.join(self.sites)}")
        return self.sites.index(site) + 1

    @cached_property
    def ports(self) -> dict[str, int]:
        """Every port by name: `cloud`, `kubernetes-north`, `azurite-north-queue`, ..."""
        base = self.identity.port_base
        found = {name: base + offset for name, offset in FIXED.items()}
        for number, site in enumerate(self.sites, start=1):
            for name, offset in PER_SITE.items():
                kind, _, service = name.partition("-")
                found["-".join(part for part in (kind, site, service) if part)] = base + PORTS_PER_SITE * number + offset
        return found

    def port(self, name: str) -> int:
        """The port of a program, by name."""
        if name not in self.ports:
            raise KeyError(f"there is no port {name!r}; there are {', '.join(self.ports)}")
        return self.ports[name]

    @property
    def place(self) -> Place:
        """Where its programs listen and are reached."""
        return self.identity.place

    def host(self, name: str) -> str:
        """The name by which others reach a program."""
        return self.place.hosts.get(name, self.place.host)

    def url(self, name: str) -> str:
        """The https URL of a program, without a slash at the end."""
        return f"https://{self.host(name)}:{self.port(name)}"

    @property
    def ca(self) -> Path:
        """PEM of the local CA."""
        return self.path / "ca" / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """PEM of the local CA's key."""
        return self.path / "ca" / "ca.key"

    @property
    def cert(self) -> Path:
        """PEM of the server certificate."""
        return self.path / "ca" / "server.pem"

    @property
    def key(self) -> Path:
        """PEM of the server's key."""
        return self.path / "ca" / "server.key"

    @property
    def audience(self) -> str:
        """Audience of tokens for the resource manager: its own URL, as the Azure ML SDK asks for it."""
        return self.url("cloud")

    def account(self, site: str | None = None) -> str:
        """Storage account of a site, or of the cloud."""
        return _account(site) if site else CLOUD_ACCOUNT

    def account_key(self, account: str) -> str:
        """Base64 key of a storage account."""
        return self.identity.account_keys[account]

    def blob_url(self, account: str) -> str:
        """Blob endpoint of an account, behind the proxy."""
        return f"{self.url('blob')}/{account}"

    def queue_url(self, account: str) -> str:
        """Queue endpoint of an account, behind the proxy."""
        return f"{self.url('queue')}/{account}"


def _named() -> Path:
    return Path(os.environ.get("EDGELOOP_HOME") or DEFAULT_FOLDER)


def site_service_address(number: int) -> str:
    """The first service address of a site, which in-cluster clients call the API server by."""
    return f"127.{60 + number}.0.1"


def _write_once(file: Path, identity: Identity) -> None:
    """Create the file whole, or leave the one that another process made first."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".home", encoding="utf-8") as draft:  # mode 600
        json.dump(asdict(identity), draft, indent=1)
        draft.flush()
        os.fsync(draft.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft.name, file)
