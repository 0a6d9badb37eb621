"""What people answered, laid out for training: `<workload>/feedback/site=<site>/date=<day of the record>/<sequence of the commit>.parquet`.

Made from the commits, so it can be made again at any time and always comes out the same.
"""

import io
import json
from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient

from include.border.store import Commit, committed
from include.domain import naming
from include.domain.events import FEEDBACK

STAGE = "feedback"


def extract(compliant: ContainerClient, lake: ContainerClient, workload: str, site: str) -> int:
    """Write the answers of all commits that were not looked at yet; gives how many there were.

    Columns are those of compliant storage: the answered record's inputs and target, `label`, `event` (the answered id), and the envelope.
    """
    answers = 0
    for commit in committed(compliant, workload, site, after=_seen(lake, workload, site)):
        for day, table in _by_day(_answers(compliant, commit)):
            blob = naming.partition(workload, STAGE, site, day, f"{commit.sequence:020d}.parquet")
            buffer = io.BytesIO()
            pq.write_table(table, buffer, compression="zstd")
            lake.upload_blob(blob, buffer.getvalue(), overwrite=True)
            answers += table.num_rows
        lake.upload_blob(_mark(workload, site), json.dumps({"sequence": commit.sequence}), overwrite=True)
    return answers


def _mark(workload: str, site: str) -> str:
    return f"{workload}/state/feedback/site={site}.json"


def _seen(lake: ContainerClient, workload: str, site: str) -> int:
    try:
        return int(json.loads(lake.download_blob(_mark(workload, site)).readall())["sequence"])
    except ResourceNotFoundError:
        return -1


def _answers(compliant: ContainerClient, commit: Commit) -> list[pa.Table]:
    found = []
    for file in commit.files:
        table = pq.read_table(io.BytesIO(compliant.download_blob(file.name).readall()))
        found.append(table.filter(pc.equal(table["type"], FEEDBACK)))
    return [table for table in found if table.num_rows]


def _by_day(tables: list[pa.Table]) -> Iterator[tuple[date, pa.Table]]:
    if not tables:
        return
    table = pa.concat_tables(tables)
    days = pc.cast(table["time"], pa.date32())
    for day in sorted(pc.unique(days).to_pylist()):
        yield day, table.filter(pc.equal(days, pa.scalar(day, pa.date32())))
