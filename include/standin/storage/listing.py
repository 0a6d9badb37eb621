"""Listings that begin at a name: `startFrom` of List Blobs, which Azurite ignores and clients of table formats rely on."""

import re
from html import unescape

ENTRY = re.compile(rb"<(Blob|BlobPrefix)><Name>(.*?)</Name>.*?</\1>", re.DOTALL)


def begin_at(listing: bytes, name: str) -> bytes:
    """The listing's XML without the entries before the name."""

    def kept(entry: re.Match[bytes]) -> bytes:
        return entry[0] if unescape(entry[2].decode("utf-8")) >= name else b""

    return ENTRY.sub(kept, listing)
