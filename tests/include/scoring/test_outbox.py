"""The outbox: nothing that was committed is lost or changed, and files are never shared."""

import json
import sqlite3
import threading
from pathlib import Path

import pytest

from include.domain.events import message
from include.scoring.outbox import KEPT_REQUESTS, Counts, Entry, Outbox, OutboxError, take
from include.scoring.outboxes import Outboxes
from include.scoring.shipper import LinkDown, Shipper

BIG = 64 << 20


def entry(first: int, count: int = 1, size: int = 20) -> Entry:
    return Entry([(f"id-{n}", json.dumps({"n": n, "x": "y" * size}).encode()) for n in range(first, first + count)], b'{"records":[]}')


def test_what_was_cut_is_cut_the_same_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    first = Outbox(path, BIG)
    first.write([entry(0, 30)])
    cut = message(first.next_message())
    first.write([entry(30, 100)])
    first.close()  # as a crash: nothing was marked
    again = Outbox(path, BIG)
    assert message(again.next_message()) == cut
    assert again.counts() == Counts(130, 0)
    again.mark_shipped()
    assert len(again.next_message()) == 100
    assert again.counts() == Counts(130, 30)
    again.mark_shipped()
    assert again.next_message() == []
    assert again.counts().pending == 0
    again.close()


def test_messages_keep_to_the_limit_of_bytes(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", BIG)
    outbox.write([entry(0, 10, 14_000)])
    sizes = []
    while events := outbox.next_message():
        assert len(message(events)) <= 48_000
        sizes.append(len(events))
        outbox.mark_shipped()
    assert sizes == [3, 3, 3, 1]
    outbox.close()


def test_a_file_belongs_to_one_process(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    first, second = take(path, BIG), take(path, BIG)
    assert (first.path, second.path) == (path, tmp_path / "outbox.db.1")
    with pytest.raises(OutboxError, match="belongs to another process that is alive"):
        Outbox(path, BIG)
    first.close()
    assert take(path, BIG).path == path
    second.close()


def test_a_full_disk_is_an_error_and_nothing_of_the_request_stays(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", 256 << 10)
    written = 0
    with pytest.raises(OutboxError, match="takes no events"):  # noqa: PT012
        while True:
            outbox.write([entry(written, 10, 500)])
            written += 10
    assert outbox.counts() == Counts(written, 0)
    assert outbox.find(f"id-{written}") is None
    while outbox.next_message():
        outbox.mark_shipped()
    outbox.write([entry(written, 10, 500)])
    assert outbox.counts() == Counts(written + 10, written), "shipped events made room"
    outbox.close()


def test_the_ring_of_requests_is_bounded(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", BIG)
    outbox.write([Entry([], b"%d" % n) for n in range(KEPT_REQUESTS + 7)])
    assert outbox.requests(3) == [b"504", b"505", b"506"]
    assert len(outbox.requests(10_000)) == KEPT_REQUESTS
    outbox.close()


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "o"
    path.write_bytes(b"this is no database" * 100)
    outbox = Outbox(path, BIG)
    outbox.write([entry(0)])
    assert outbox.counts().recorded == 1
    assert [found.read_bytes()[:12] for found in tmp_path.glob("o.damaged-*")] == [b"this is no d"]
    outbox.close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxError, match=r"the folder of the outbox .* cannot be written"):
        take(tmp_path / "file" / "o", BIG)


def test_orphans_are_adopted_and_shipped(tmp_path: Path) -> None:
    path = tmp_path / "o"
    outboxes = [take(path, BIG) for _ in range(3)]
    for n, outbox in enumerate(outboxes):
        outbox.write([entry(n * 10, 10)])
    outboxes[1].close()
    outboxes[2].close()
    (tmp_path / "o.damaged-7").write_text("")
    alive = outboxes[0]
    mine = Outboxes(path, BIG)
    assert [outbox.path.name for outbox in mine.held] == ["o.1", "o.2"]
    assert mine.counts() == Counts(20, 0)
    assert mine.find("id-5") is not None, "an event of a live neighbour can be read"
    assert mine.find("id-99") is None
    sent: list[str] = []
    shipper = Shipper(mine, sent.append)
    shipper.start()
    shipper.stop(20)
    assert len(sent) == 2
    assert mine.counts() == Counts(20, 20)
    assert alive.counts() == Counts(10, 0)
    mine.close()
    alive.close()


def test_a_link_that_fails_is_tried_again_with_the_same_bytes(tmp_path: Path) -> None:
    mine = Outboxes(tmp_path / "o", BIG)
    mine.own.write([entry(0, 3)])
    tried: list[str] = []
    shipped = threading.Event()

    def send(content: str) -> None:
        tried.append(content)
        if len(tried) < 3:
            raise LinkDown("cut")
        shipped.set()

    shipper = Shipper(mine, send)
    shipper.start()
    assert shipped.wait(30)
    shipper.stop(20)
    assert len(set(tried)) == 1
    assert (shipper.health.failures, mine.counts()) == (2, Counts(3, 3))
    mine.close()


def test_commits_are_on_the_disk(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", BIG)
    with sqlite3.connect(tmp_path / "o") as other:
        assert other.execute("pragma journal_mode").fetchone() == ("wal",)
    assert outbox._db.execute("pragma synchronous").fetchone() == (2,), "FULL"
    outbox.close()
