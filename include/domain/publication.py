"""What the company may know: aggregates of a site and a day, and when they are too small to be shown."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, order=True)
class Version:
    """Names a state of the published data: when it was written, and from which commits of the sites' logs."""

    at: datetime
    digest: str

    @classmethod
    def of(cls, commits: Mapping[str, int], at: datetime) -> "Version":
        """`commits`: site -> sequence number of the last commit that is counted."""
        named = ",".join(f"{site}={commits[site]}" for site in sorted(commits))
        return cls(at.astimezone(UTC).replace(microsecond=0), sha256(named.encode()).hexdigest()[:12])

    @classmethod
    def parse(cls, text: str) -> "Version":
        """What `str` gave; ValueError for anything else."""
        at, _, digest = text.partition("-")
        return cls(datetime.strptime(at, _TIME).replace(tzinfo=UTC), digest)

    def __str__(self) -> str:
        return f"{self.at.strftime(_TIME)}-{self.digest}"


@dataclass(frozen=True)
class Sums:
    """Sums over the records of one site and one day."""

    site: str
    day: date
    rows: int
    anomalies: int
    compared: int
    """Records with both an expected and a measured value: the sums below are over these."""
    expected_kw: float
    measured_kw: float


@dataclass(frozen=True)
class Aggregate:
    """What is shown of one site and one day. None: not there, or withheld because it describes too few records."""

    site: str
    date: str
    rows: int | None
    anomalies: int | None
    mean_residual_kw: float | None
    expected_mwh: float | None
    measured_mwh: float | None
    lost_share: float | None
    """Of the expected energy; below zero when the machines gave more than expected."""

    @property
    def withheld(self) -> bool:
        """Whether the whole day describes too few records."""
        return self.rows is None

    def as_row(self) -> dict[str, Any]:
        """As a row of a table."""
        return {**asdict(self), "withheld": self.withheld}


def aggregate(sums: Sums, smallest_group: int, minutes: float) -> Aggregate:
    """The day's aggregate. `minutes` is the time that one record stands for.

    A figure over fewer records than `smallest_group` is withheld; none at all is no group, and is shown as 0.
    """
    site, day = sums.site, sums.day.isoformat()
    if sums.rows < smallest_group:
        return Aggregate(site, day, None, None, None, None, None, None)
    anomalies = sums.anomalies if not 0 < sums.anomalies < smallest_group else None
    if sums.compared < max(1, smallest_group):
        return Aggregate(site, day, sums.rows, anomalies, None, None, None, None)
    mwh = minutes / 60 / 1000
    return Aggregate(
        site=site,
        date=day,
        rows=sums.rows,
        anomalies=anomalies,
        mean_residual_kw=round((sums.measured_kw - sums.expected_kw) / sums.compared, 2),
        expected_mwh=round(sums.expected_kw * mwh, 3),
        measured_mwh=round(sums.measured_kw * mwh, 3),
        lost_share=round(1 - sums.measured_kw / sums.expected_kw, 4) if sums.expected_kw > 0 else None,
    )


@dataclass(frozen=True)
class Overall:
    """Sums over what is shown. Withheld figures are not in them: a difference of two totals would tell them."""

    days: int
    withheld: int
    rows: int
    anomalies: int
    expected_mwh: float
    measured_mwh: float
    lost_share: float | None


def overall(aggregates: Iterable[Aggregate]) -> Overall:
    """Over sites and days."""
    found = [*aggregates]
    expected, measured = sum(one.expected_mwh or 0.0 for one in found), sum(one.measured_mwh or 0.0 for one in found)
    return Overall(
        days=len({one.date for one in found}),
        withheld=sum(one.withheld for one in found),
        rows=sum(one.rows or 0 for one in found),
        anomalies=sum(one.anomalies or 0 for one in found),
        expected_mwh=round(expected, 3),
        measured_mwh=round(measured, 3),
        lost_share=round(1 - measured / expected, 4) if expected > 0 else None,
    )
