"""Packages of an image, as its locked requirements name them."""

import re

PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([A-Za-z0-9.!+_-]+)")


def packages(requirements: str) -> dict[str, str]:
    """Name and version of every line `name==version`; ValueError for one that pins nothing. Comments, options and hashes are skipped."""
    found = {}
    for line in requirements.splitlines():
        said = line.partition(" #")[0].partition("\\")[0].strip()
        if not said or said.startswith(("#", "-")):
            continue
        pin = PIN.fullmatch(said)
        if not pin:
            raise ValueError(f"{said!r} is not `name==version`: lock the file with `uv pip compile`, for one platform")
        found[pin[1].lower()] = pin[2]
    return dict(sorted(found.items()))
