"""Are kernels over lists readable, and compiled as they should be: no spills, keys copied ahead of time?"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import triton as compiler

from attncc import device
from attncc.codegen import triton
from attncc.codegen.triton.knobs import SHARED_KIB
from attncc.codegen.triton.static import Resources, resources
from attncc.ir.expr import And
from attncc.ir.pattern import Combine, Pattern
from attncc.ir.schedule import DTYPES, DType, Operands, Shape
from tests.codegen.listed_samples import (
    CAUSAL,
    COLUMN,
    COLUMNS,
    SAME,
    grid,
    made,
    retrieved,
    selected,
    vertical_slash,
)
from tests.codegen.triton_samples import schedule
from tests.house.tree import ROOT

HALF = Operands("bfloat16", 64)
DOCUMENTS = selected(And(CAUSAL, SAME), {}, {"doc": "token"})
LANDMARKS = retrieved(51, "group_max", Combine("landmark", (("block", 51),)))
SINKS = selected(
    And(CAUSAL, COLUMN), COLUMNS, {"sinks": "head"}, combine=Combine("sink_softmax", (("logit", "sinks"),))
)
SPILLS = 0 if compiler.__version__.startswith("3.7.") else 128


@pytest.mark.parametrize(
    ("of", "block_m"),
    [(vertical_slash(64), 64), (grid(64, 48), 32), (DOCUMENTS, 64), (LANDMARKS, 1), (SINKS, 64)],
    ids=["vertical-slash", "blocks", "documents", "landmarks", "sinks"],
)
def test_ruff_has_nothing_to_say(of: Pattern, block_m: int) -> None:
    _, source = made(of, HALF, schedule(block_m, 64))
    command = [sys.executable, "-m", "ruff", "check", "--select", "E,F,W,B,PIE,RET,SIM,UP", "--line-length", "120", "-"]
    said = subprocess.run(command, input=source.text, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


def test_keys_that_all_rows_see_are_not_masked() -> None:
    _, source = made(grid(64, 64), HALF, schedule(64, 64))
    full = source.text.partition("that all rows see.")[2].partition("# ")[0]
    assert "for start in" in full
    assert "mask=" not in full
    assert "tl.where" not in full


def test_lists_that_a_kernel_goes_over_are_its_arguments() -> None:
    _, source = made(vertical_slash(64), HALF, schedule(64, 64))
    arguments = re.findall(r"^    (\w+_(?:entries|start|count)_ptr),$", source.text, re.MULTILINE)
    assert len(arguments) == len(set(arguments)) == 6


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("grain", [1, 8, 16, 32, 48, 51, 64, 128, 192])
def test_tiles_hold_a_divisor_of_the_grain(dtype: DType, grain: int) -> None:
    for arch in ("sm_80", "sm_90", "gfx942"):
        for length in (1, 16, 1000):
            phase = triton.phase(Shape(1, 8, 2, length, 4096, 128), grain)
            space = triton.space(Operands(dtype, 128), phase, device.named(arch), grain)
            assert space.refusal(space.default()) is None
            assert all(grain % found.number("BLOCK_M") == 0 for found in space.schedules())


def test_no_tile_of_rows_fits_into_a_small_grain() -> None:
    assert triton.phase(Shape(1, 8, 2, 1000, 4096, 128), 8) == "decode"
    assert triton.phase(Shape(1, 8, 2, 1000, 4096, 128), 16) == "prefill"


@pytest.mark.parametrize("of", [vertical_slash(64), grid(64, 64)], ids=["vertical-slash", "blocks"])
@pytest.mark.parametrize(("arch", "head_dim", "unit"), [("sm_90", 128, "wgmma"), ("sm_80", 64, "mma")])
def test_built_in_schedules_do_not_spill(of: Pattern, arch: str, head_dim: int, unit: str) -> None:
    operands, hardware = Operands("bfloat16", head_dim), device.named(arch)
    _, source = made(of, operands, triton.space(operands, "prefill", hardware, of.grain()).default())
    found = resources(source, hardware)
    assert isinstance(found, Resources), found
    assert found.spill_bytes <= SPILLS
    assert found.shared_bytes <= SHARED_KIB[arch] * 1024
    assert unit in found.instructions
    assert "cp.async" in found.instructions, "rows of keys are on their way before they are needed"


def test_rows_do_not_spill() -> None:
    operands, hardware = Operands("bfloat16", 128), device.named("sm_90")
    of = retrieved(64, "group_max")
    chosen = triton.space(operands, "decode", hardware, of.grain()).default()
    _, source = made(of, operands, chosen)
    found = resources(source, hardware)
    assert isinstance(found, Resources), found
    assert found.spill_bytes <= SPILLS
    assert "cp.async" in found.instructions


def test_descriptors_are_made_only_where_rows_of_keys_follow_each_other() -> None:
    """Lists name rows one by one."""
    wanted = schedule(1, 64, "descriptor")
    _, lists_only = made(grid(1, 64), HALF, wanted)
    _, beside = made(retrieved(64), HALF, wanted)
    assert "make_tensor_descriptor" not in lists_only.text
    assert "make_tensor_descriptor" in beside.text
