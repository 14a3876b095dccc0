"""A small picture as text that a page can hold: a PNG in a data URI."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from attncc.models.assign.exact import Floats

#: From no attention to much of it.
PALE, DEEP = (246, 246, 243), (20, 60, 110)
#: Attention spans orders of magnitude; roots make the small ones visible.
POWER = 0.35


def data_uri(values: Floats) -> str:
    """The picture of `values`, [rows, columns], each not negative, a pixel each, darker for larger."""
    shade = (values / max(float(values.max()), np.finfo(np.float64).tiny)) ** POWER
    index = np.rint(shade * 255).astype(np.uint8)
    return f"data:image/png;base64,{base64.b64encode(png(index)).decode()}"


def png(index: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    """A PNG with one byte a pixel, a place in the palette from PALE to DEEP."""
    height, width = index.shape
    share = np.linspace(0, 1, 256)[:, None]
    palette = np.rint(np.array(PALE) * (1 - share) + np.array(DEEP) * share).astype(np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in index)
    parts = (
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        _chunk(b"PLTE", palette.tobytes()),
        _chunk(b"IDAT", zlib.compress(rows, 9)),
        _chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
