"""The constants of a C file: the pattern's parameters, sizes of tiles, the polynomial of 2 ** x."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import lcm

from attncc.codegen.cpu.isa import InstructionSet
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Operands, Schedule

LOG2_E, LN_2 = "1.4426950408889634f", "0.6931471805599453f"

#: (2 ** x - 1) / x on [0, 1), lowest power first. Fitted for the least relative error of 2 ** x, 9e-8 and 1e-4, with a
#: sum of 1, so that 2 ** x has no jump at whole numbers. bfloat16 is coarser than the second.
EXACT = ("6.931517388e-01f", "2.401592715e-01f", "5.581867596e-02f", "8.990995096e-03f", "1.879318648e-03f")
ROUGH = ("6.954243475e-01f", "2.263076823e-01f", "7.826797018e-02f")
EXPONENTIALS: Mapping[DType, tuple[str, ...]] = {"float32": EXACT, "float16": EXACT, "bfloat16": ROUGH}

TILES = {"HEAD_DIM", "PADDED_DIM", "BLOCK_M", "BLOCK_N", "KEYS", "COPY_KEYS", "UNIT", "PADDED_N"}
REGISTERS = {"QUERY_VECS", "STRIP", "ROWS", "ROWS_AT_ONCE", "COLUMN_VECS"}
OTHERS = {"ANY", "SPLIT", "AHEAD", "LANES", "LANE", "FULL", "LOG2_E", "LN_2", "LOWEST", "MASKED", "LEAST_SCALE"}
MACROS = {"LINE", "SURPASSED", "PARALLEL_SCORES", "FLOOR_DIV", "FLOOR_MOD", "NAN", "NULL", "INFINITY"}
TAKEN = TILES | REGISTERS | OTHERS | MACROS

#: How macros of the headers that kernels include begin and end.
HEADERS = (
    "M_",
    "FP_",
    "MATH_",
    "HUGE_",
    "SYS_",
    "EXIT_",
    "F_",
    "R_",
    "W_",
    "X_",
    "L_",
    "MB_",
    "WIFE",
    "WEXIT",
    "WTERM",
)
LIMITS = ("_MAX", "_MIN", "_WIDTH", "_ENDIAN", "_FILENO", "_C")


def constant(param: str) -> str:
    """The constant of a parameter of the pattern; it may not have the name of one of ours or of a system header."""
    name = param.upper()
    return f"{name}_PARAM" if name in TAKEN or name.startswith(HEADERS) or name.endswith(LIMITS) else name


def namer(pattern: Pattern) -> Callable[[str], str]:
    """Spells a name of the IR: parameters as constants, variables as they are."""
    params = dict(pattern.params)
    return lambda name: constant(name) if name in params else name


def parameters(pattern: Pattern) -> Mapping[str, int]:
    """The pattern's own numbers."""
    return {constant(name): value for name, value in pattern.params}


def sizes(isa: InstructionSet, operands: Operands, schedule: Schedule, unit: int | None = None) -> Mapping[str, int]:
    """Sizes of the tiles of a prefill kernel, in memory and in registers. Products of bfloat16 go through columns by
    32, those of AMX through keys as well. Blocks hold whole `unit`s of keys."""
    products = isa.multiplies_pairs(operands.dtype)
    memory = {
        "HEAD_DIM": operands.head_dim,
        "PADDED_DIM": _rounded(operands.head_dim, 32 if products else isa.lanes),
        "BLOCK_M": schedule.number("block_m"),
        **_block_n(schedule, unit, 2 if products else 1),
    }
    if products and isa.tiles:
        if memory["BLOCK_N"] % 32 != 0:
            memory["PADDED_N"] = _rounded(memory["BLOCK_N"], 32)
        return memory | {"KEYS": 32, "COPY_KEYS": int(operands.head_dim % 32 != 0)}
    return memory | _registers(isa, memory["BLOCK_M"], memory["PADDED_DIM"])


def _block_n(schedule: Schedule, unit: int | None, together: int) -> dict[str, int]:
    """Keys of a block: as the schedule says, or the next multiple of `unit` that `together` divides."""
    wanted = schedule.number("block_n")
    if unit is None:
        return {"BLOCK_N": wanted}
    return {"BLOCK_N": _rounded(wanted, lcm(unit, together)), "UNIT": unit}


def _registers(isa: InstructionSet, block_m: int, padded_dim: int) -> dict[str, int]:
    query_vecs = min(4 if isa.lanes == 16 else isa.columns, block_m // isa.lanes)
    column_vecs = min(isa.columns, padded_dim // isa.lanes)
    return {
        "KEYS": isa.sums // query_vecs,
        "QUERY_VECS": query_vecs,
        "STRIP": query_vecs * isa.lanes,
        "ROWS": min(12, isa.sums // column_vecs),
        "COLUMN_VECS": column_vecs,
    }


def decode_sizes(
    isa: InstructionSet, operands: Operands, schedule: Schedule, per_head: bool, unit: int | None = None
) -> Mapping[str, int]:
    """The same for kernels with columns in lanes; `per_head` if heads do not see the same keys."""
    rows = 1 if per_head else schedule.number("rows")
    together = 2 if isa.multiplies_pairs(operands.dtype) else 1
    padded = _rounded(operands.head_dim, together * isa.lanes)
    whole = padded if together == 2 else operands.head_dim
    return {
        "HEAD_DIM": operands.head_dim,
        "PADDED_DIM": padded,
        "ROWS": rows,
        "ROWS_AT_ONCE": min(rows, 4 if isa.lanes == 16 else 2),
        "KEYS": 4,
        **_block_n(schedule, unit, together),
        "COLUMN_VECS": max(1, min(isa.columns, isa.sums // rows, whole // isa.lanes) // together * together),
        "SPLIT": schedule.number("split"),
        "AHEAD": 16,
    }


def _rounded(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def exponential(dtype: DType) -> str:
    """exp2_fraction as C."""
    *lower, highest = EXPONENTIALS[dtype]
    steps = "\n".join(f"    sum = sum * x + splat({coefficient});" for coefficient in reversed(lower))
    return f"""/* 2 ** x for x in [0, 1). */
static inline vec exp2_fraction(vec x) {{
    vec sum = splat({highest});
{steps}
    return sum * x + splat(1.0f);
}}
"""
