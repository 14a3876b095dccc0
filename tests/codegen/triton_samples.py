"""What the tests of the Triton backend share: patterns by formula, sources, kernels run by the interpreter."""

from __future__ import annotations

from attncc import compiler, device, settings
from attncc.codegen import triton
from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton.interpret import Interpreted, interpreted
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Schedule
from attncc.spec import load, lower

HOPPER = device.named("sm_90")


def pattern(mask: str, **params: int) -> Pattern:
    """The pattern of a formula."""
    words = {"pattern": "sample", "about": "A sample.", "source": "tests", "mask": mask, "params": params}
    return lower.lower(load.from_dict(words), {})


def schedule(block_m: int, block_n: int, loads: str = "pointer", warps: int = 4, stages: int = 2) -> Schedule:
    knobs = ("BLOCK_M", "BLOCK_N", "num_warps", "num_stages", "loads")
    return Schedule(tuple(zip(knobs, (block_m, block_n, warps, stages, loads), strict=True)))


def source(of: Pattern, operands: Operands, chosen: Schedule | None = None) -> KernelSource:
    """The module of a pattern, with the built-in schedule for sm_90 where none is given."""
    chosen = chosen or triton.space(operands, "prefill", HOPPER).default()
    return compiler.source(of, operands, "prefill", chosen, "triton")


def kernel(of: Pattern, operands: Operands, chosen: Schedule | None = None) -> Interpreted:
    return interpreted(source(of, operands, chosen), settings.cache_dir())
