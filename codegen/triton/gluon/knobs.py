"""The knobs of a Gluon kernel: those of the Triton kernel that it can take the place of."""

from __future__ import annotations

from attncc.codegen.kernel import Phase
from attncc.codegen.triton import knobs
from attncc.device import DeviceModel
from attncc.ir.schedule import Knob, KnobValue, Operands, SearchSpace

#: The built-in schedule, if it is Gluon: two warpgroups, or one where rows of two would not see one choice.
DEFAULT: dict[str, KnobValue] = {
    "BLOCK_M": 128, "BLOCK_N": 64, "num_warps": 8, "num_stages": 3, "loads": "descriptor", "lowering": "gluon",
}  # fmt: skip


def space(operands: Operands, phase: Phase, device: DeviceModel, grain: int | None = None) -> SearchSpace:
    """The part of the Triton backend's space that is Gluon's; where there is none, that space as it is."""
    whole = knobs.space(operands, phase, device, grain)
    if not any(knob.name == "lowering" for knob in whole.knobs):
        return whole
    heights = next(knob.choices for knob in whole.knobs if knob.name == "BLOCK_M")
    block_m = max(side for side in heights if isinstance(side, int) and side <= 128)
    chosen = {**DEFAULT, "BLOCK_M": block_m, "num_warps": block_m // 16}
    return SearchSpace(tuple(_own(knob, chosen.get(knob.name, knob.default)) for knob in whole.knobs), whole.refusal)


def _own(knob: Knob, default: KnobValue) -> Knob:
    choices = tuple(choice for choice in knob.choices if choice != knobs.LOWERINGS[0])
    return Knob(knob.name, choices, default, knob.unforeseen)
