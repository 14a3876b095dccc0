"""Is generated C as a person would leave it: formatted, without warnings, without anything unused?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from attncc.codegen import cpu
from attncc.codegen.cpu.isa import SETS
from attncc.codegen.cpu.toolchain import FLAGS, compiler
from attncc.codegen.kernel import Phase
from attncc.ir.schedule import DType, Operands, Shape
from attncc.spec import load, lower
from tests.codegen import test_cpu_combines, test_cpu_inputs, test_cpu_lists
from tests.codegen.cpu_samples import ARCHES, pattern, source
from tests.house.tree import ROOT

CLANG_FORMAT = Path(sys.executable).parent / "clang-format"

#: Every set, type, phase and kind of head_dim at least once.
VARIANTS: list[tuple[str, DType, int, Phase]] = [
    ("avx512_bf16+amx", "bfloat16", 80, "prefill"),
    ("avx512_bf16", "bfloat16", 128, "prefill"),
    ("avx512", "float32", 128, "prefill"),
    ("avx512", "float16", 72, "decode"),
    ("avx512_bf16", "bfloat16", 72, "decode"),
    ("avx2", "float16", 64, "prefill"),
    ("portable", "bfloat16", 64, "decode"),
]


#: Patterns with sets, inputs and rules of combination.
WITH_SETS = {
    name: pattern
    for patterns in (test_cpu_lists.PATTERNS, test_cpu_inputs.PATTERNS, test_cpu_combines.PATTERNS)
    for name, pattern in patterns.items()
}
SHIPPED = [name for name in load.shipped() if not pattern(name).selections and not pattern(name).inputs]


@pytest.mark.parametrize("name", SHIPPED)
def test_no_warnings_and_well_formatted(name: str) -> None:
    # Three variants of each, and all over the patterns; a_shape in all of them.
    at = SHIPPED.index(name)
    for arch, dtype, head_dim, phase in VARIANTS if name == "a_shape" else (VARIANTS * 2)[at % len(VARIANTS) :][:3]:
        assert_clean(source(pattern(name), Operands(dtype, head_dim), phase, arch).text, arch)


@pytest.mark.parametrize("name", WITH_SETS)
def test_kernels_with_sets_are_clean(name: str) -> None:
    # Two variants of each, and all over the patterns.
    at = list(WITH_SETS).index(name)
    for arch, dtype, head_dim, phase in (VARIANTS[at % len(VARIANTS)], VARIANTS[(at + 3) % len(VARIANTS)]):
        fits = phase == "decode" or cpu.phase(Shape(1, 1, 1, 64, 64, 16), WITH_SETS[name].grain()) == "prefill"
        assert_clean(source(WITH_SETS[name], Operands(dtype, head_dim), phase if fits else "decode", arch).text, arch)


def assert_clean(text: str, arch: str) -> None:
    layout = [
        str(CLANG_FORMAT),
        f"--style=file:{ROOT / '.clang-format'}",
        "--dry-run",
        "-Werror",
        "--assume-filename=x.c",
    ]
    assert subprocess.run(layout, input=text, text=True, capture_output=True, check=False).stderr == ""
    if arch in ARCHES:
        words = [*compiler().command, *FLAGS, "-Werror", "-fsyntax-only", *SETS[arch].flags, "-xc", "-"]
        assert subprocess.run(words, input=text, text=True, capture_output=True, check=False).stderr == ""


@pytest.mark.parametrize(("arch", "dtype", "head_dim", "phase"), VARIANTS)
def test_everything_defined_is_used(arch: str, dtype: DType, head_dim: int, phase: Phase) -> None:
    text = source(pattern("a_shape"), Operands(dtype, head_dim), phase, arch).text
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    defined = re.findall(r"^static .*?\b(\w+)[(=]|^#define (\w+)|\b([A-Z_]+) = \d", code, re.M)
    names = {name for found in defined for name in found if name} - {"__attribute__", "ask_for_tiles"}
    assert {name for name in names if len(re.findall(rf"\b{name}\b", code)) < 2} == set()


def test_same_input_same_bytes() -> None:
    operands = Operands("bfloat16", 64)
    first, again = (source(pattern("a_shape"), operands, "prefill", "avx512").text for _ in range(2))
    assert first == again
    assert str(ROOT) not in first


def test_a_parameter_may_have_the_name_of_a_constant() -> None:
    given = load.from_dict(
        {"pattern": "odd", "about": "x", "source": "x", "params": {"lanes": 3}, "mask": "q - kv < lanes and kv <= q"}
    )
    assert "LANES_PARAM = 3" in source(lower.lower(given, {}), Operands("float32", 64), "prefill", "avx512").text
