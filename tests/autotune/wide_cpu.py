"""The C backend with more choices than it offers: spaces large enough to record landscapes in."""

from __future__ import annotations

from attncc.codegen import cpu
from attncc.codegen.cpu import build, emit, phase, tiling, toolchain
from attncc.codegen.kernel import Phase
from attncc.device import DeviceModel
from attncc.ir.schedule import Knob, KnobValue, Operands, SearchSpace

__all__ = ["build", "emit", "phase", "space", "tiling", "toolchain"]

CHOICES: dict[str, tuple[KnobValue, ...]] = {
    "block_m": (16, 32, 48, 64, 128, 192, 256),
    "block_n": (48, 96, 144, 192, 288, 384, 576, 768),
}


def space(operands: Operands, phase: Phase, device: DeviceModel, grain: int | None = None) -> SearchSpace:
    offered = cpu.space(operands, phase, device, grain)
    knobs = (Knob(knob.name, CHOICES.get(knob.name, knob.choices), knob.default) for knob in offered.knobs)
    return SearchSpace(tuple(knobs))
