"""The data lake: partitions of one site and one day, as Parquet."""

import base64
import hashlib
import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from edgeloop.hooks.storage import StorageHook
from include.domain import naming
from include.domain.windows import Window
from include.settings import LAKE

if TYPE_CHECKING:
    import pyarrow as pa
    from azure.storage.blob import ContainerClient

PARALLEL = 8
"""Requests at once; Azurite and one core gain nothing from more (benchmarks/)."""


@dataclass(frozen=True, order=True)
class Stored:
    """A blob that is there: name, bytes, base64 of the content's MD5 (None where the service has none)."""

    name: str
    size: int
    content_md5: str | None


class LakeHook(BaseHook):
    """Reads and writes partitions. A write replaces the blob of the same name, so a rerun adds nothing."""

    def __init__(self, lake_conn_id: str = LAKE, container: str = naming.LAKE) -> None:
        super().__init__()
        self.lake_conn_id = lake_conn_id
        self.container_name = container

    @cached_property
    def storage(self) -> StorageHook:
        """The account behind it."""
        return StorageHook(self.lake_conn_id)

    @cached_property
    def container(self) -> "ContainerClient":
        """The container's client."""
        return self.storage.container(self.container_name)

    def uri(self, blob: str) -> str:
        """The blob as a URL, for people and for XCom."""
        return f"{self.container.url}/{blob}"

    def blobs(self, prefix: str) -> list[Stored]:
        """What lies under the prefix, by name."""
        found = []
        for blob in self.container.list_blobs(name_starts_with=prefix):
            md5 = blob.content_settings.content_md5
            found.append(Stored(blob.name, blob.size, base64.b64encode(bytes(md5)).decode() if md5 else None))
        return sorted(found)

    def partitions(self, workload: str, stage: str, sites: Iterable[str], window: Window) -> "list[Stored]":
        """Blobs of the stage whose site and day are asked for."""
        found = [blob for site in sites for blob in self.blobs(f"{workload}/{stage}/site={site}/")]
        return [blob for blob in found if naming.partition_of(blob.name)[1] in window]

    def read(self, blob: str) -> bytes:
        """The blob's bytes; ResourceNotFoundError when there is none."""
        return bytes(self.container.download_blob(blob).readall())

    def read_or_none(self, blob: str) -> bytes | None:
        """The blob's bytes, or None when there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return self.read(blob)
        except ResourceNotFoundError:
            return None

    def write(self, blob: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        """Write or replace; gives the blob's URL. The content's MD5 is kept with it: snapshots name data by it."""
        from azure.storage.blob import ContentSettings

        md5 = bytearray(hashlib.md5(data, usedforsecurity=False).digest())
        settings = ContentSettings(content_type=content_type, content_md5=md5)
        self.container.upload_blob(blob, data, overwrite=True, content_settings=settings)
        return self.uri(blob)

    def delete(self, blob: str) -> None:
        """Remove the blob if it is there."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            self.container.delete_blob(blob)
        except ResourceNotFoundError:
            self.log.info("%s was gone already", blob)

    def read_table(self, blob: str) -> "pa.Table":
        """A Parquet blob as a table."""
        import pyarrow.parquet as pq

        return pq.read_table(io.BytesIO(self.read(blob)))

    def read_tables(self, blobs: Iterable[str]) -> "Iterator[tuple[str, pa.Table]]":
        """Many Parquet blobs, several requests at once, in the order given."""
        names = [*blobs]
        with ThreadPoolExecutor(PARALLEL) as pool:
            yield from zip(names, pool.map(self.read_table, names), strict=True)

    def write_table(self, blob: str, table: "pa.Table") -> str:
        """A table as Parquet: the same rows give the same bytes."""
        import pyarrow.parquet as pq

        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        return self.write(blob, buffer.getvalue(), "application/vnd.apache.parquet")

    def write_partitions(self, workload: str, stage: str, site: str, name: str, tables: "dict[date, pa.Table]") -> list[str]:
        """One file a day; gives the blobs' names."""
        blobs = {naming.partition(workload, stage, site, day, name): table for day, table in tables.items()}
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(self.write_table, blobs.keys(), blobs.values()))
        return sorted(blobs)
