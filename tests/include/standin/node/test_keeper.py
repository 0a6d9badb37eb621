"""The keeper's log, and layers that are unpacked whole or not at all."""

import io
import tarfile
from pathlib import Path

import pytest

from include.standin.node import keeper
from include.standin.node.pull import ImageError
from include.standin.node.unpack import unpack
from tests.include.standin.node.site import layer


def test_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "LOG_LIMIT", 2000)
    log = keeper.Log(tmp_path / "0.log")
    for n in range(200):
        log.feed(f"line {n}\n".encode())
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["0.log", "0.log.1"]
    assert all(file.stat().st_size <= 2000 for file in files)
    assert files[0].read_text().splitlines()[-1].endswith(" line 199")


def test_full_disk_costs_lines_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = keeper.Log(tmp_path / "0.log")
    with monkeypatch.context() as full:
        full.setattr(keeper.os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        log.feed(b"lost\n")
    log.feed(b"kept\n")
    assert "(1 lines lost: the disk was full)" in (tmp_path / "0.log").read_text()


def test_layer_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    good, broken = tmp_path / "good", tmp_path / "broken"
    good.write_bytes(layer({"a": b"1"}))
    broken.write_bytes(layer({"b": b"2" * 100_000})[:60])
    with pytest.raises(ImageError, match="cannot be unpacked"):
        unpack([good, broken], tmp_path / "roots" / "x")
    assert not list((tmp_path / "roots").iterdir())


def test_layer_cannot_leave_its_root(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(layer({"../out": b"1"}))
    with pytest.raises(ImageError, match="cannot be unpacked"):
        unpack([bad], tmp_path / "roots" / "x")
    assert not (tmp_path / "roots" / "out").exists()


def _layer(folder: Path, *members: tarfile.TarInfo) -> Path:
    file = folder / "layer.tar"
    with tarfile.open(file, "w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return file


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size, found.mode = kind, link, int(kind == tarfile.REGTYPE), 0o4755
    return found


@pytest.mark.parametrize("filters", [True, False], ids=["with filters", "before 3.11.4"])
def test_files_are_unpacked_below_the_folder_without_their_rights_over_others(tmp_path, monkeypatch, filters):
    if not filters:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    unpack([_layer(tmp_path, _member("/app/run"))], tmp_path / "image")
    assert (tmp_path / "image" / "app" / "run").read_bytes() == b"x"
    assert (tmp_path / "image" / "app" / "run").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("filters", [True, False], ids=["with filters", "before 3.11.4"])
@pytest.mark.parametrize("member", [_member("out", tarfile.SYMTYPE, "/etc/passwd"), _member("../out"), _member("null", tarfile.CHRTYPE)])
def test_what_leads_out_is_refused(tmp_path, monkeypatch, filters, member):
    if not filters:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    with pytest.raises(ImageError):
        unpack([_layer(tmp_path, member)], tmp_path / "image")
    assert not (tmp_path / "image").exists()
