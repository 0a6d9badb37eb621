import gzip
import io
import os
import tarfile
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.oci.exceptions import LayerInvalid
from include.oci.layer import layer
from include.oci.reference import digest

NAMES = st.lists(
    st.text("abcäß0-_.", min_size=1, max_size=8).filter(lambda s: s not in (".", "..") and not s.startswith(".wh.")), min_size=1, max_size=3
)
FILES = st.dictionaries(
    NAMES.map(lambda parts: "/f/" + "/".join(f"{n}{p}" for n, p in enumerate(parts))), st.binary(max_size=200), min_size=1, max_size=6
)


def entries(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        return tar.getmembers()


@settings(max_examples=60, deadline=None)
@given(files=FILES, data=st.data())
def test_the_same_files_give_the_same_bytes(files: dict[str, bytes], data: st.DataObject) -> None:
    try:
        first = layer(files)
    except LayerInvalid:
        return  # a file that is a folder as well
    shuffled = dict(data.draw(st.permutations(list(files.items()))))
    assert layer(shuffled) == first
    with tarfile.open(fileobj=io.BytesIO(first.data), mode="r:gz") as tar:
        unpacked = {f"/{one.name}": tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr]
    assert unpacked == files


@settings(max_examples=40, deadline=None)
@given(files=FILES, changed=st.binary(min_size=1, max_size=10))
def test_another_byte_gives_another_digest(files: dict[str, bytes], changed: bytes) -> None:
    try:
        first = layer(files)
    except LayerInvalid:
        return
    name = next(iter(files))
    assert layer({**files, name: files[name] + changed}).digest != first.digest


def test_nothing_of_this_machine_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = layer({"/model/b": b"2", "/model/a": b"1"}, frozenset({"/model/a"}))
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    assert layer({"/model/a": b"1", "/model/b": b"2"}, frozenset({"/model/a"})) == first
    found = entries(first.data)
    assert [(one.name, one.mtime, one.uid, one.gid, one.mode) for one in found] == [
        ("model/a", 0, 0, 0, 0o755),
        ("model/b", 0, 0, 0, 0o644),
    ]
    assert first.data[4:8] == b"\0\0\0\0", "gzip's own time"
    assert not first.data[3], "no name in gzip's header"


def test_the_digests_are_of_both_forms() -> None:
    made = layer({"/a": b"1"})
    assert made.digest == digest(made.data)
    assert made.diff_id == digest(gzip.decompress(made.data))


def test_the_digest_is_the_same_as_ever() -> None:
    """A change here changes the digest of every release that is made again."""
    assert layer({"/model/model.onnx": b"onnx"}).diff_id == "sha256:f0b09c8701677cd1af8cc3ccaecd21757666bd72a23eb9255c22535c149366ed"


@pytest.mark.parametrize("name", ["/../etc/passwd", "/a/./b", "/", "", "/a\0b", "/a/.wh.b"])
def test_paths_that_leave_the_image(name: str) -> None:
    with pytest.raises(LayerInvalid, match="is not a path inside an image"):
        layer({name: b""})


def test_files_in_each_others_way() -> None:
    with pytest.raises(LayerInvalid, match="are the same file"):
        layer({"/a": b"", "a": b""})
    with pytest.raises(LayerInvalid, match="is a file and the folder of"):
        layer({"/a": b"", "/a/b": b""})
    with pytest.raises(LayerInvalid, match="name at least one"):
        layer({})
