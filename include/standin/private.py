"""Files for few eyes, written whole: a reader sees the old content or the new, and never a moment of a wider mode."""

import os
from pathlib import Path

OWNER = 0o600


def write(file: Path, content: bytes, mode: int = OWNER) -> Path:
    """Make or replace the file, and its folder if it is missing; gives the file."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as out:
        out.write(content)
    draft.replace(file)
    return file
