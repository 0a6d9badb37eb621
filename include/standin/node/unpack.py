"""Layers as a folder: unpacked in order, whiteouts applied, all or nothing."""

import os
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from include.standin.node.pull import ImageError

LARGEST_IMAGE = 8 << 30
"""Bytes of all files; more is taken for a decompression bomb."""
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


def unpack(layers: Sequence[Path], root: Path) -> None:
    """Make `root` of the layers (tar, gzip or not), first layer first. ImageError; OSError when the disk is full."""
    root.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".part-{os.getpid()}-"))
    try:
        part.chmod(0o755)
        for layer in layers:
            _layer(layer, part)
        try:
            part.rename(root)
        except OSError:
            if not root.is_dir():  # else another node was faster: the same digest, the same content
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove what a killed process left half unpacked."""
    for part in folder.glob(".part-*"):
        if not Path(f"/proc/{part.name.split('-')[1]}").exists():
            shutil.rmtree(part, ignore_errors=True)


def _layer(layer: Path, root: Path) -> None:
    try:
        with tarfile.open(layer) as archive:
            members = archive.getmembers()
            if sum(member.size for member in members) > LARGEST_IMAGE:
                raise ImageError(f"layer {layer.name} unpacks to more than {LARGEST_IMAGE} bytes")
            for member in members:
                _white_out(PurePosixPath(member.name), root)
            _extract(archive, [m for m in members if not PurePosixPath(m.name).name.startswith(WHITEOUT)], root)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ImageError(f"layer {layer.name} cannot be unpacked: {error}") from error


def _extract(archive: tarfile.TarFile, members: list[tarfile.TarInfo], root: Path) -> None:
    """Nothing gets out of the folder."""
    if hasattr(tarfile, "data_filter"):
        return archive.extractall(root, members, filter="data")
    for member in members:  # Python before 3.11.4, such as Debian 12's, knows no filter: links, which could lead out, are refused
        if not (member.isreg() or member.isdir()) or ".." in PurePosixPath(member.name).parts:
            raise ImageError(
                f"{member.name} in a layer is a link or leads out of the image: this Python cannot unpack it safely; use 3.11.4 or newer"
            )
        member.name, member.mode = member.name.lstrip("/"), member.mode & 0o755
    archive.extractall(root, members)  # noqa: S202 - checked above
    return None


def _white_out(name: PurePosixPath, root: Path) -> None:
    """Apply a whiteout to the layers below (OCI image specification, layer filesystem changeset)."""
    if not name.name.startswith(WHITEOUT):
        return
    folder = (root / str(name.parent).lstrip("/")).resolve()
    if not folder.is_relative_to(root.resolve()) or not folder.is_dir():
        return
    gone = list(folder.iterdir()) if name.name == OPAQUE else [folder / name.name.removeprefix(WHITEOUT)]
    for path in gone:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
