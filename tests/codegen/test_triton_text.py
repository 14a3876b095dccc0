"""Is the generated module one that people can read, and that says only what it must?"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attncc import compiler, device
from attncc.codegen import triton
from attncc.codegen.triton.toolchain import assembler
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DTYPES, DType, Operands, Shape
from tests.codegen.triton_samples import pattern, schedule, source
from tests.house.tree import ROOT

CAUSAL = pattern("kv <= q")
WINDOW = pattern("kv <= q and q - kv < window", window=256)
LONG = pattern(
    "kv <= q and q - kv < keys_that_are_near_enough and kv % stride_of_the_holes != place_of_the_holes",
    keys_that_are_near_enough=200,
    stride_of_the_holes=4,
    place_of_the_holes=3,
)
HALF = Operands("bfloat16", 64)
ARCHES = ("sm_80", "sm_89", "sm_90", "sm_100", "sm_120", "gfx942")


def constants(text: str) -> set[str]:
    return set(re.findall(r"^([A-Z_0-9]+) = tl\.constexpr", text, re.MULTILINE))


@pytest.mark.parametrize("of", [CAUSAL, WINDOW, LONG], ids=["causal", "window", "long"])
@pytest.mark.parametrize("loads", ["pointer", "descriptor"])
def test_ruff_has_nothing_to_say(of: Pattern, loads: str) -> None:
    text = source(of, HALF, schedule(64, 64, loads)).text
    command = [sys.executable, "-m", "ruff", "check", "--select", "E,F,W,B,PIE,RET,SIM,UP", "--line-length", "120", "-"]
    said = subprocess.run(command, input=text, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


def test_same_input_same_bytes() -> None:
    assert source(WINDOW, HALF).text == source(WINDOW, HALF).text


def test_every_constant_is_used_and_parameters_go_by_their_name() -> None:
    text = source(WINDOW, HALF).text
    used = re.findall(r"\w+", text.partition('"""\n\nimport')[2])
    assert all(used.count(name) > 1 for name in constants(text))
    assert "q - kv < WINDOW" in text
    assert "HEAD_BLOCK" not in text


def test_a_parameter_may_have_the_name_of_a_constant_of_ours() -> None:
    text = source(pattern("kv <= q and q - kv < block_m", block_m=7), HALF, schedule(64, 64)).text
    assert "q - kv < BLOCK_M_PARAM" in text
    assert {"BLOCK_M", "BLOCK_M_PARAM"} <= constants(text)


def test_full_tiles_are_not_masked() -> None:
    full = source(CAUSAL, HALF, schedule(64, 64)).text.partition("# Full tiles.")[2].partition("# Partial tiles.")[0]
    assert "mask=" not in full
    assert "tl.where" not in full


def test_only_called_functions_are_written() -> None:
    text = source(pattern("true"), HALF, schedule(64, 64)).text
    names = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    assert names == {"softmax_step", "sample_forward"}


@pytest.mark.parametrize("word", ["make_block_ptr", "warp_specialize", "flatten"])
def test_what_compilers_get_wrong_is_not_asked_for(word: str) -> None:
    assert word not in source(WINDOW, HALF, schedule(64, 64, "descriptor")).text


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_built_in_schedules_are_in_their_space(arch: str, dtype: DType) -> None:
    hardware = device.named(arch)
    for head_dim in (16, 24, 64, 80, 96, 128, 192, 256):
        for phase in ("prefill", "decode"):
            space = triton.space(Operands(dtype, head_dim), phase, hardware)
            assert space.refusal(space.default()) is None
            assert sum(1 for _ in space.schedules()) > 3


def test_schedules_that_cannot_work_are_refused_with_a_reason() -> None:
    space = triton.space(Operands("bfloat16", 128), "prefill", device.named("sm_89"))
    assert "shared memory" in (space.refusal(schedule(64, 128, warps=8, stages=3)) or "")
    assert "spill" in (space.refusal(schedule(128, 128, warps=4, stages=1)) or "")


def test_a_handful_of_rows_is_a_decode() -> None:
    assert triton.phase(Shape(1, 8, 2, 1, 4096, 128)) == "decode"
    assert triton.phase(Shape(1, 8, 2, 4096, 4096, 128)) == "prefill"


def test_toolchain_names_what_changes_the_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hopper = device.named("sm_90")
    own = triton.toolchain(hopper)
    assert re.fullmatch(r"triton [\d.]+, sm_90, ptxas [\d.]+", own)
    assert re.fullmatch(r"triton [\d.]+, gfx942", triton.toolchain(device.named("gfx942")))
    monkeypatch.setenv("TRITON_PTXAS_PATH", "elsewhere/ptxas")
    assert triton.toolchain(hopper) == f"{own.rpartition(' ')[0]} elsewhere/ptxas", "it says nothing of itself"
    other = tmp_path / "ptxas"
    other.write_text("#!/bin/sh\necho Cuda compilation tools, release 99.1, V99.1.7\n")
    other.chmod(0o755)
    monkeypatch.setenv("TRITON_PTXAS_PATH", str(other))
    assert triton.toolchain(hopper) == f"{own.rpartition(' ')[0]} 99.1.7"


def test_blackwell_may_have_an_assembler_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_PTXAS_BLACKWELL_PATH", "elsewhere/ptxas")
    assert assembler(device.named("sm_100")) == "elsewhere/ptxas"
    assert assembler(device.named("sm_90")) != "elsewhere/ptxas"


def test_plan_of_a_kernel_is_made_for_its_tiles() -> None:
    text = compiler.source(CAUSAL, HALF, "prefill", schedule(64, 32), "triton").text
    assert "BLOCK_M = tl.constexpr(64)" in text
    assert "BLOCK_N = tl.constexpr(32)" in text
