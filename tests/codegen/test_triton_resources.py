"""Do the built-in schedules cross-compile as they should: tensor cores, no spills, memory to spare?"""

from __future__ import annotations

import dataclasses

import pytest
import triton

from attncc import compiler, device, settings
from attncc.autotune.legality import SPILL_BYTES
from attncc.codegen.kernel import Phase
from attncc.codegen.triton import space
from attncc.codegen.triton.knobs import SHARED_KIB
from attncc.codegen.triton.static import Resources, Unbuildable, resources
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Operands
from attncc.spec import load, lower
from tests.codegen.triton_samples import HOPPER, pattern, schedule, source

#: Several loops: full and partial tiles of sinks, window and diagonal.
A_SHAPE = pattern("kv <= q and (kv < sink or q - kv < window)", sink=128, window=1024)
CAUSAL = pattern("kv <= q")
WINDOW = pattern("kv <= q and q - kv < window", window=1024)
#: Triton 3.7 is what the schedules were chosen with; other versions may miss by a few registers.
SPILLS = 0 if triton.__version__.startswith("3.7.") else 128
TENSOR_CORES = {"sm_80": "mma", "sm_90": "wgmma", "sm_100": "tcgen05", "gfx942": "mfma"}


def built_in(
    arch: str, operands: Operands, phase: Phase = "prefill", but: str | None = None, of: Pattern = A_SHAPE
) -> Resources:
    """What the built-in schedule of a pattern uses; with the knob `but` at 1."""
    hardware = device.named(arch)
    knobs = space(operands, phase, hardware)
    chosen = knobs.default() if but is None else knobs.default().replace(but, 1)
    assert knobs.refusal(chosen) is None
    found = resources(compiler.source(of, operands, phase, chosen, "triton"), hardware)
    assert isinstance(found, Resources), found
    return found


@pytest.mark.parametrize("head_dim", [64, 128])
@pytest.mark.parametrize("arch", TENSOR_CORES)
def test_built_in_schedules_do_not_spill(arch: str, head_dim: int) -> None:
    found = built_in(arch, Operands("bfloat16", head_dim))
    assert found.spill_bytes <= SPILLS
    assert found.shared_bytes <= SHARED_KIB[arch] * 1024
    assert TENSOR_CORES[arch] in found.instructions


@pytest.mark.parametrize("head_dim", [64, 128])
@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize(
    "of",
    [A_SHAPE, pytest.param(CAUSAL, marks=pytest.mark.slow), pytest.param(WINDOW, marks=pytest.mark.slow)],
    ids=["a-shape", "causal", "window"],
)
def test_persistent_kernels_hardly_spill(of: Pattern, arch: str, head_dim: int) -> None:
    """Around their loops is one more. That leaves few registers where pointers take many; what is spilled there, a
    tuner takes for nothing."""
    most = SPILL_BYTES if (arch, head_dim) == ("sm_80", 128) else SPILLS
    found = built_in(arch, Operands("bfloat16", head_dim), but="persistent", of=of)
    plain = built_in(arch, Operands("bfloat16", head_dim), of=of)
    assert found.spill_bytes <= most
    assert found.shared_bytes == plain.shared_bytes
    assert found.instructions == plain.instructions


@pytest.mark.parametrize("head_dim", [64, 128])
@pytest.mark.parametrize("of", [CAUSAL, WINDOW, A_SHAPE], ids=["causal", "window", "a-shape"])
def test_warps_of_blackwell_share_the_work_out_without_spills(of: Pattern, head_dim: int) -> None:
    """Registers go from the warps that copy to those that weigh, which says that there are such."""
    found = built_in("sm_100", Operands("bfloat16", head_dim), but="warp_specialize", of=of)
    assert found.spill_bytes <= SPILLS
    assert {"tcgen05", "tma"} <= found.instructions.keys()
    assert "setmaxnreg.inc" in found.assembly


@pytest.mark.parametrize(("dtype", "head_dim"), [("float32", 128), ("float16", 80), ("bfloat16", 256)])
def test_other_operands_do_not_spill_on_hopper(dtype: DType, head_dim: int) -> None:
    assert built_in("sm_90", Operands(dtype, head_dim)).spill_bytes <= SPILLS


def test_branches_cost_no_shared_memory() -> None:
    """Loops of different branches never run at once, and share their buffers."""
    operands, chosen = Operands("bfloat16", 64), schedule(64, 64, "descriptor", stages=3)
    branches = pattern("kv <= q and (head < 4 or q - kv < 256 or kv < 64)")
    plain, branching = (resources(source(of, operands, chosen), HOPPER) for of in (CAUSAL, branches))
    assert isinstance(plain, Resources)
    assert isinstance(branching, Resources)
    assert branching.shared_bytes <= plain.shared_bytes + 1024


def test_hopper_copies_tiles_with_descriptors_or_asynchronously() -> None:
    operands = Operands("bfloat16", 64)
    whole = resources(source(CAUSAL, operands, schedule(64, 64, "descriptor")), HOPPER)
    parts = resources(source(CAUSAL, operands, schedule(64, 64, "pointer")), HOPPER)
    assert isinstance(whole, Resources)
    assert isinstance(parts, Resources)
    assert "tma" in whole.instructions
    assert "cp.async" in parts.instructions
    assert "tma" not in parts.instructions


def test_decode_does_not_spill() -> None:
    assert built_in("sm_90", Operands("bfloat16", 128), "decode").spill_bytes <= SPILLS


@pytest.mark.parametrize(
    ("name", "arch", "head_dim"),
    [("vertical_slash", "sm_80", 64), ("vertical_slash", "sm_90", 64), ("landmark_retrieval", "sm_90", 128)],
)
def test_decode_with_gathered_keys_does_not_spill(name: str, arch: str, head_dim: int) -> None:
    """Where an entry of a list says which key is next, less room is left than in other kernels."""
    of, operands, hardware = lower.lower(load.find(name), {}), Operands("bfloat16", head_dim), device.named(arch)
    chosen = compiler.built_in(of, operands, "decode", hardware)
    found = resources(compiler.source(of, operands, "decode", chosen, "triton"), hardware)
    assert isinstance(found, Resources), found
    assert found.spill_bytes <= SPILLS


def test_resources_are_remembered_and_a_damaged_memory_is_replaced() -> None:
    one = source(pattern("kv < q"), Operands("float16", 64))
    before = set(settings.cache_dir().glob("resources_*.json"))
    found = resources(one, HOPPER)
    (memory,) = set(settings.cache_dir().glob("resources_*.json")) - before
    kept = memory.read_bytes()
    assert resources(one, HOPPER) == found
    memory.write_text("half a fi", encoding="utf-8")
    assert resources(one, HOPPER) == found
    assert memory.read_bytes() == kept, "the same source compiles to the same assembly"


def test_what_the_compiler_refuses_is_a_reason() -> None:
    broken = dataclasses.replace(source(CAUSAL, Operands("float16", 64)), text=BROKEN)
    found = resources(broken, HOPPER)
    assert isinstance(found, Unbuildable)
    assert "nowhere" in found.reason


BROKEN = """
import triton
import triton.language as tl


@triton.jit
def sample_forward(query_ptr, scale):
    tl.store(query_ptr, nowhere)
"""
