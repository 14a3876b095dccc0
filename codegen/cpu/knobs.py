"""The knobs of a C kernel, and which choices are worth a trial on a machine."""

from __future__ import annotations

from collections.abc import Mapping

from attncc.codegen.kernel import Phase
from attncc.device import DeviceModel
from attncc.ir.schedule import Knob, Operands, Schedule, SearchSpace, Shape
from attncc.ir.tile import Tiling

#: Most query rows of a head that the decode kernel serves faster than a query tile that they do not fill.
DECODE_ROWS = 8

#: Without its instructions for bfloat16, a set may be faster still: on some machines these are slow.
PLAINER: Mapping[str, str] = {"avx512_bf16+amx": "avx512", "avx512_bf16": "avx512"}


def phase(shape: Shape) -> Phase:
    """`decode` for calls of a few query rows."""
    return "decode" if shape.q_len <= DECODE_ROWS else "prefill"


def space(operands: Operands, phase: Phase, device: DeviceModel) -> SearchSpace:
    """The knobs of one phase.

    prefill: queries of a tile, keys of a block. decode: heads taken together, keys of a block, fewest keys worth a
    split. Blocks of 96 keys keep the values of float32 in the first level of cache.
    """
    isa = _isa(operands, phase, device)
    if phase == "decode":
        return SearchSpace(
            (isa, Knob("rows", (1, 4, 8), 4), Knob("block_n", (64, 128, 256), 128), Knob("split", (512, 2048), 512))
        )
    block_n = 96 if operands.dtype == "float32" else 192
    return SearchSpace((isa, Knob("block_m", (32, 64, 128), 64), Knob("block_n", (96, 192, 384), block_n)))


def tiling(phase: Phase, schedule: Schedule) -> Tiling:
    """Query tiles of block_m rows, or single rows in decode; keys come as runs."""
    return Tiling(1 if phase == "decode" else schedule.number("block_m"), 1)


def _isa(operands: Operands, phase: Phase, device: DeviceModel) -> Knob:
    """The richest set of the device; another choice only where the operands could make a difference."""
    plainer = PLAINER.get(device.arch)
    if plainer is None:
        return Knob("isa", (device.arch,), device.arch)
    if phase == "decode" or operands.dtype != "bfloat16":
        return Knob("isa", (plainer,), plainer)
    return Knob("isa", (device.arch, plainer), device.arch)
