"""Reads a photo's orientation from EXIF or XMP, without the other metadata.

Follows JEITA CP-3451 (Exif 2.3), 4.6.4; the block is a TIFF file. Pillow would read every entry, in Python.
"""

import re
import struct
from dataclasses import dataclass

UPRIGHT = 1
_TAG = 0x0112
_BYTE_ORDERS = {b"II*\0": "<", b"II\0*": "<", b"MM\0*": ">", b"MM*\0": ">"}
_TYPES = {1: "B", 3: "H", 4: "I"}
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


@dataclass(frozen=True)
class Metadata:
    """The metadata that may have the photo's orientation; empty if missing."""

    exif: bytes = b""
    xmp: bytes = b""

    @property
    def orientation(self) -> int:
        """The orientation, 1 to 8; a broken EXIF block is ignored and counts as 1."""
        try:
            found = _in_exif(self.exif) if self.exif else None
        except (KeyError, struct.error):
            return UPRIGHT
        if found is None and (written := _IN_XMP.search(self.xmp)):
            found = int(written[1])
        return UPRIGHT if found is None else found


def _in_exif(exif: bytes) -> int | None:
    tiff = re.sub(rb"\A(?:Exif\0\0){1,2}", b"", exif)
    if not tiff:
        return None
    order = _BYTE_ORDERS[tiff[:4]]
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    entries = memoryview(tiff)[start + 2 : start + 2 + 12 * count]
    for tag, kind, values, value in struct.iter_unpack(f"{order}HHI4s", entries[: len(entries) // 12 * 12]):
        if tag == _TAG and kind in _TYPES and values == 1:
            return int(struct.unpack_from(order + _TYPES[kind], value)[0])
    return None
