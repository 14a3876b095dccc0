"""The knobs of a C kernel, and which choices are worth a trial on a machine."""

from __future__ import annotations

from collections.abc import Mapping

from attncc.codegen.kernel import Phase
from attncc.device import DeviceModel
from attncc.ir.schedule import Knob, Operands, Schedule, SearchSpace, Shape
from attncc.ir.tile import Tiling

#: Most query rows of a head that the decode kernel serves faster than a query tile that they do not fill.
DECODE_ROWS = 8

#: Rows of a query tile; the default, if not AMX multiplies; those of a tile for patterns that allow no larger one; the
#: fewest that AMX takes.
TILE_ROWS, USUAL_ROWS, SMALLEST_TILE, AMX_ROWS = (32, 64, 128), 64, 16, 32

#: Without its instructions for bfloat16, a set may be faster still: on some machines these are slow.
PLAINER: Mapping[str, str] = {"avx512_bf16+amx": "avx512", "avx512_bf16": "avx512"}


def phase(shape: Shape, grain: int | None = None) -> Phase:
    """`decode` for calls of a few query rows, and where no query tile fits into `grain`."""
    return "decode" if shape.q_len <= DECODE_ROWS or not _tiles(grain) else "prefill"


def space(operands: Operands, phase: Phase, device: DeviceModel, grain: int | None = None) -> SearchSpace:
    """The knobs of one phase; query tiles hold a divisor of `grain` rows.

    prefill: queries of a tile, keys of a block. decode: heads taken together, keys of a block, fewest keys worth a
    split. Blocks of 96 keys keep the values of float32 in the first level of cache; with AMX, large blocks touch acc
    less often, and large query tiles pair fewer values.
    """
    block_m = _tiles(grain)
    isa = _isa(operands, device, phase == "prefill" and max(block_m, default=0) >= AMX_ROWS)
    if phase == "decode":
        return SearchSpace(
            (isa, Knob("rows", (1, 4, 8), 4), Knob("block_n", (64, 128, 256), 128), Knob("split", (512, 2048), 512))
        )
    assert block_m, f"no query tile fits into {grain} rows; such calls are of phase decode"
    tiles = str(isa.default).endswith("+amx")
    block_n = 96 if operands.dtype == "float32" else 384 if tiles else 192
    usual = max(rows for rows in block_m if tiles or rows <= USUAL_ROWS)
    return SearchSpace((isa, Knob("block_m", block_m, usual), Knob("block_n", (96, 192, 384), block_n)))


def _tiles(grain: int | None) -> tuple[int, ...]:
    """The query tiles that fit into `grain`; the smallest one only if no other does."""
    fitting = tuple(rows for rows in TILE_ROWS if grain is None or grain % rows == 0)
    return fitting or (SMALLEST_TILE,) * (grain is not None and grain % SMALLEST_TILE == 0)


def tiling(phase: Phase, schedule: Schedule) -> Tiling:
    """Query tiles of block_m rows, or single rows in decode; keys come as runs."""
    return Tiling(1 if phase == "decode" else schedule.number("block_m"), 1)


def _isa(operands: Operands, device: DeviceModel, tiles: bool) -> Knob:
    """The richest set of the device, without AMX unless there may be `tiles`; another choice only where the operands
    could make a difference."""
    plainer, arch = PLAINER.get(device.arch), device.arch if tiles else device.arch.removesuffix("+amx")
    if plainer is None:
        return Knob("isa", (device.arch,), device.arch)
    if operands.dtype != "bfloat16":
        return Knob("isa", (plainer,), plainer)
    return Knob("isa", (arch, plainer), arch)
