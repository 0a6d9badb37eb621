"""A training job as Azure ML runs it: validated partitions, a manifest, `python -m include.training` in its own environment."""

import base64
import hashlib
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from include import workloads
from include.domain.snapshot import Part, Snapshot
from include.domain.windows import Window
from include.settings import ROOT
from include.standin.machine_learning import environments
from include.workloads.wind_power.sample.export import COLUMNS, SCADA, sites


def python() -> Path:
    """The interpreter of the training environment; the test is skipped where nobody built it."""
    text = (workloads.folder("wind_power") / "requirements.txt").read_text()
    found = environments.folder() / environments.Requirements.of_text(text).digest / "bin" / "python"
    if not found.exists():
        pytest.skip("the training environment is not built: python -m include.standin.machine_learning.environments")
    return found


@dataclass
class Job:
    """Input and output of one job."""

    root: Path
    window: Window

    @property
    def data(self) -> Path:
        return self.root / "validated"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def out(self) -> Path:
        return self.root / "out"

    def prepare(self) -> "Job":
        """Write the window's good rows as validated partitions."""
        low = datetime.combine(self.window.first, time(), UTC)
        asked = [("Date_time", ">=", low), ("Date_time", "<", low + timedelta(days=len(self.window)))]
        rows = pq.read_table(SCADA, columns=[*COLUMNS], filters=asked).rename_columns([*COLUMNS.values()])
        rows = rows.filter((pc.field("temperature_c") > -30) & pc.field("power_kw").is_valid())
        parts = []
        for site, turbines in sites().items():
            of_site = rows.filter(pc.is_in(rows["turbine"], pa.array(turbines)))
            days = pc.cast(of_site["time"], pa.date32())
            parts += [self._write(site, day, of_site.filter(pc.equal(days, pa.scalar(day, pa.date32())))) for day in self.window.days()]
        self.manifest.write_text(Snapshot.of(part for part in parts if part).to_json())
        return self

    def _write(self, site, day, rows):
        if not rows.num_rows:
            return None
        name = f"site={site}/date={day}/measurements.parquet"
        path = self.data / name
        path.parent.mkdir(parents=True)
        pq.write_table(rows.select([column.name for column in workloads.load("wind_power").columns]), path)
        return self.part(f"wind_power/validated/{name}", path)

    @staticmethod
    def part(blob: str, path: Path) -> Part:
        return Part(blob, base64.b64encode(hashlib.md5(path.read_bytes()).digest()).decode())

    def add(self, *parts: Part) -> None:
        old = Snapshot.from_json(self.manifest.read_text())
        self.manifest.write_text(Snapshot.of([*old.parts, *parts]).to_json())

    def run(self, *more: str, out: Path | None = None, window: str | None = None, env: dict[str, str] | None = None):
        command = [python(), "-m", "include.training", "--workload", "wind_power", "--data", self.data, "--manifest", self.manifest]
        command += ["--window", window or str(self.window), "--out", out or self.out, *more]
        plain = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        return subprocess.run([*map(str, command)], cwd=ROOT, env=plain, capture_output=True, text=True, timeout=170)
