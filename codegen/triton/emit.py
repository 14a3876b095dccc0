"""Writes the Triton module for one plan and schedule: header, constants, small functions, one kernel."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

from attncc.codegen.header import header_lines
from attncc.codegen.kernel import KernelSource, Phase
from attncc.codegen.triton.arguments import Wanted
from attncc.codegen.triton.exprs import NUMBERS, TILES, TritonPrinter
from attncc.codegen.triton.functions import FUNCTIONS
from attncc.codegen.triton.heavier import from_first
from attncc.codegen.triton.lists import constants
from attncc.codegen.triton.phases import LEAST_ROWS
from attncc.codegen.triton.program import Program, mentioned
from attncc.codegen.triton.rows import LAYOUT, head_rows, ordered_rows, tile_rows
from attncc.codegen.triton.score import sloped
from attncc.codegen.triton.tile import TileText
from attncc.combines.rule import rules
from attncc.ir.expr import Attribute, parts
from attncc.ir.schedule import Operands, Schedule
from attncc.ir.tile import TilePlan

LISTS = """\
Of each list, row [batch or 1, list head, row block] has count entries from start on; they ascend. Batch strides are 0
for one batch.
"""
TOKENS = "Tokens are int32 [batch or 1, heads, kv_len] with a contiguous last dimension.\n"


def emit(plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule) -> KernelSource:
    """The module as text. It holds one kernel, named `<pattern>_forward`, and the functions that it calls."""
    entry = f"{plan.pattern.name}_forward"
    made = _program(plan, operands, phase, schedule)
    kernel = made.text(entry)
    functions = [text for name, text in {**FUNCTIONS, **made.tile.combine.functions}.items() if _calls(kernel, name)]
    code = "\n\n".join([*functions, kernel])
    used = set(re.findall(r"[A-Z]\w+", code))
    lines = [f"{name} = tl.constexpr({value})" for name, value in _constants(plan, operands).items() if name in used]
    layout = LAYOUT + made.rows.grid + LISTS * bool(made.wanted.lists) + TOKENS * bool(made.wanted.tokens)
    header = "\n".join(header_lines(plan, operands, phase, schedule, "triton", layout.splitlines()))
    preamble = "\n".join([f'"""{header}', '"""', "", "import triton", "import triton.language as tl", "", *lines])
    return KernelSource("triton", plan.pattern.name, operands, phase, schedule, entry, f"{preamble}\n\n\n{code}")


def head_block(head_dim: int) -> int:
    """head_dim rounded up to a power of two, the only sides that tiles have in Triton."""
    return max(16, 1 << (head_dim - 1).bit_length())


def _program(plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule) -> Program:
    pattern, tile = plan.pattern, _tile_text(plan, operands, schedule)
    single = plan.tiling.block_m == 1
    conditions = [part for run in plan.runs() for part in (run.only, run.mask) if part is not None]
    attributes = {part.name for condition in conditions for part in parts(condition) if isinstance(part, Attribute)}
    grouped = single and not attributes and _shared(plan)
    persistent = schedule.switch("persistent") > 0
    ordered = phase == "prefill" and not single
    if ordered:
        rows = ordered_rows(plan.aligned, from_first(plan), persistent, tile.descriptors)
    else:
        rows = head_rows(grouped) if single else tile_rows(plan.aligned)
    inputs = tuple((option, name) for option, name in pattern.combine.options if isinstance(name, str))
    wanted = Wanted(
        sloped(pattern.score),
        tuple(tile.lists),
        tuple(sorted(attributes)),
        tuple(sorted({name for _, name in inputs})),
        grouped,
        ordered and not persistent,
        persistent,
    )
    return Program(plan, rows, tile, wanted, inputs, schedule.switch("warp_specialize") > 0)


def _shared(plan: TilePlan) -> bool:
    """Whether the heads of a KV head surely visit the same keys at a position. Of sets that are given, nobody knows."""
    chosen = {selection.name for selection in plan.pattern.selections if selection.heads != "each"}
    return "head" not in mentioned(plan.body) and all(one.name in chosen for one in plan.lists)


def _tile_text(plan: TilePlan, operands: Operands, schedule: Schedule) -> TileText:
    params, pattern = dict(plan.pattern.params), plan.pattern
    lists = {one.name: one.geometry for one in plan.lists}
    combine = rules()[pattern.combine.rule].TRITON
    unit = None if combine.unit is None else option_constant(pattern.combine.rule, combine.unit)
    own = _own_constants(plan, operands)
    for one in plan.lists:
        grain = one.geometry.grain
        assert grain is None or grain % plan.tiling.block_m == 0, f"all rows of a tile share their row of {one.name}"

    def name(word: str) -> str:
        return _constant(word, own) if word in params else word

    return TileText(
        numbers=TritonPrinter(NUMBERS, name, params, lists),
        tiles=TritonPrinter(TILES, name, params, lists),
        rules=pattern.score,
        combine=combine,
        unit=unit,
        whole=unit is not None and own[unit] == own["BLOCK_N"],
        lists=lists,
        # Lists name rows one by one; a descriptor loads rows that follow each other.
        descriptors=schedule["loads"] == "descriptor"
        and (unit is not None or any(run.over is None for run in plan.runs())),
        padded=head_block(operands.head_dim) != operands.head_dim,
        precision=', input_precision="ieee"' if operands.dtype == "float32" else "",
        block_n=plan.tiling.block_n,
    )


def _calls(kernel: str, function: str) -> bool:
    return re.search(rf"\b{function}\(", kernel) is not None


def option_constant(rule: str, option: str) -> str:
    """The constant that holds a number of a rule of combination."""
    return f"{rule}_{option}".upper()


def _constants(plan: TilePlan, operands: Operands) -> Mapping[str, int | float]:
    own = _own_constants(plan, operands)
    return {**{_constant(name, own): value for name, value in plan.pattern.params}, **own}


def _own_constants(plan: TilePlan, operands: Operands) -> Mapping[str, int | float]:
    """The constants that are no parameters of the pattern."""
    combine = plan.pattern.combine
    options = {option_constant(combine.rule, name): value for name, value in combine.options if isinstance(value, int)}
    unit = rules()[combine.rule].TRITON.unit
    lanes = plan.tiling.block_n if unit is None else options[option_constant(combine.rule, unit)]
    return {
        **{name: value for one in plan.lists for name, value in constants(one.name, one.geometry).items()},
        **options,
        "HEAD_DIM": operands.head_dim,
        "HEAD_BLOCK": head_block(operands.head_dim),
        "BLOCK_M": max(plan.tiling.block_m, LEAST_ROWS),
        "BLOCK_N": lanes if unit is None else head_block(lanes),
        "LOG2E": 1.4426950408889634,
        "LN2": 0.6931471805599453,
    }


def _constant(param: str, own: Container[str]) -> str:
    """The constant of a parameter; a parameter may have the name of one of ours."""
    name = param.upper()
    return f"{name}_PARAM" if name in own else name
