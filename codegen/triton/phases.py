"""Which kind of kernel serves a call on a GPU?"""

from __future__ import annotations

from attncc.codegen.kernel import Phase
from attncc.ir.schedule import Shape

#: Products need so many rows.
LEAST_ROWS = 16

#: Query rows up to which a call is a decode: one small query tile, or two where they straddle a boundary.
DECODE_ROWS = 16


def phase(shape: Shape, grain: int | None = None) -> Phase:
    """Decode for a handful of query rows, which a small query tile serves best, and where no tile fits into the grain:
    there each position is a tile of its own."""
    return "decode" if shape.q_len <= DECODE_ROWS or not tall(grain) else "prefill"


def tall(grain: int | None) -> bool:
    """Whether a tile with as many rows as products want sees one choice."""
    return grain is None or grain % LEAST_ROWS == 0
