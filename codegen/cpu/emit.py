"""Writes the C file for one plan and schedule: header, constants, vector operations, then the kernel of the phase."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attncc.codegen.cpu.combining import combining
from attncc.codegen.cpu.decode import decode
from attncc.codegen.cpu.isa import SETS, InstructionSet
from attncc.codegen.cpu.layout import constants
from attncc.codegen.cpu.method import method
from attncc.codegen.cpu.needs import Needs, call, needs
from attncc.codegen.cpu.numbers import LN_2, LOG2_E, decode_sizes, exponential, parameters, sizes
from attncc.codegen.cpu.parts import part
from attncc.codegen.cpu.prefill import prefill
from attncc.codegen.cpu.products import products
from attncc.codegen.cpu.prune import prune
from attncc.codegen.cpu.sharing import per_head
from attncc.codegen.header import header_lines
from attncc.codegen.kernel import KernelSource, Phase
from attncc.ir.pattern import Alibi, Softcap
from attncc.ir.schedule import Operands, Schedule
from attncc.ir.tile import TilePlan

LAYOUT = (
    "query and out are [batch, q_heads, q_len, HEAD_DIM], key and value [batch, kv_heads, kv_len, HEAD_DIM], of any",
    "strides with a contiguous last dimension; lse is float32 [batch, q_heads, q_len], in natural units. Query head",
    "h reads KV head h // (q_heads // kv_heads). Positions count from 0 to kv_len - 1; the last query is at the last.",
)
LISTS = (
    "Lists hold ascending units of keys, one list for each row of queries that share a choice; of the keys of a run",
    "over a list, only those in the list are visited. Query head h reads list head h * list_heads // q_heads.",
)
TOKENS = ("Inputs with a number for each position are [batch or 1, 1 or kv_heads or q_heads, kv_len].",)
TASKS: Mapping[Phase, tuple[str, ...]] = {
    "prefill": (
        "Query tiles are aligned to absolute positions. One task takes one query tile of one head through the runs of",
        "keys that it sees: scores of BLOCK_N keys, their softmax, their share of the values.",
    ),
    "decode": (
        "One task takes one query position, with ROWS heads that share a KV head, through its part of the keys that it",
        "sees: scores of BLOCK_N keys, their softmax, their share of the values. The parts are joined at the end.",
    ),
}


def emit(plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule) -> KernelSource:
    """The file as text. It exports one function, named attncc_<pattern>, that takes a `struct call`."""
    entry = f"attncc_{plan.pattern.name}"
    pieces = [_header(plan, operands, phase, schedule), *_file(plan, operands, phase, schedule, entry)]
    text = prune("\n".join(pieces))
    return KernelSource("cpu", plan.pattern.name, operands, phase, schedule, entry, text)


def _header(plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule) -> str:
    first, *rest = header_lines(plan, operands, phase, schedule, "cpu", (*LAYOUT, *_given(plan), *TASKS[phase]))
    return "\n".join([f"/* {first}", *(f"   {line}".rstrip() for line in rest)]) + " */\n"


def _given(plan: TilePlan) -> tuple[str, ...]:
    needed = needs(plan)
    return (LISTS if needed.lists else ()) + (TOKENS if needed.tokens else ())


def _file(plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule, entry: str) -> Iterator[str]:
    isa = SETS[str(schedule["isa"])]
    tiles = phase == "prefill" and isa.tiles and operands.dtype == "bfloat16"
    needed = needs(plan)
    numbers, kernel = _kernel(plan, operands, phase, schedule, needed, entry)
    yield _includes(isa, tiles)
    if params := parameters(plan.pattern):
        yield f"/* Parameters of the pattern. */\n{constants(params)}\n"
    yield f"/* Sizes of the tiles, in memory and in registers. */\n{constants(numbers)}\n"
    yield part("floats").replace("LOG2_E_VALUE", LOG2_E).replace("LN_2_VALUE", LN_2)
    yield from _vectors(plan, operands, isa)
    yield call(needed)
    yield from kernel


def _kernel(
    plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule, needed: Needs, entry: str
) -> tuple[Mapping[str, int], Iterator[str]]:
    isa = SETS[str(schedule["isa"])]
    if phase == "decode":
        numbers = decode_sizes(isa, operands, schedule, per_head(plan), combining(plan.pattern).unit)
        return numbers, decode(plan, products(operands.dtype, isa, numbers), needed, numbers["ROWS"], entry)
    combine = combining(plan.pattern)
    numbers = sizes(isa, operands, schedule, combine.unit)
    return numbers, prefill(plan, method(operands, isa, numbers, combine, needed.gathered), needed, entry)


def _vectors(plan: TilePlan, operands: Operands, isa: InstructionSet) -> Iterator[str]:
    vectors, exp2 = part(isa.part).split("/* 2 ** x", 1)
    yield vectors.rstrip() + "\n"
    yield exponential(operands.dtype)
    yield f"/* 2 ** x{exp2}"
    if any(isinstance(rule, Softcap) for rule in plan.pattern.score):
        yield part("softcap")
    if Alibi() in plan.pattern.score:
        yield part("slope")
    yield part("whole_numbers")
    yield part("lane_numbers")
    yield f"static const ivec LANE = {{{', '.join(str(lane) for lane in range(isa.lanes))}}};\n"
    yield "static inline ivec spread(int64_t x) { return (ivec){0} + (int32_t)x; }\n"
    yield part(_elements(operands, isa))


def _elements(operands: Operands, isa: InstructionSet) -> str:
    return f"float16_{isa.part}" if operands.dtype == "float16" else operands.dtype


def _includes(isa: InstructionSet, tiles: bool) -> str:
    lines = ["#include <math.h>", "#include <stdint.h>", "#include <stdlib.h>", "#include <string.h>"]
    if isa.macro is None:
        return "\n".join(lines) + "\n"
    system = ["#include <sys/syscall.h>", "#include <unistd.h>"] if tiles else []
    guard = f'#ifndef {isa.macro}\n#error "compile with {" ".join(isa.flags)}"\n#endif\n'
    return "\n".join(["#include <immintrin.h>", *lines, *system]) + f"\n\n{guard}"
