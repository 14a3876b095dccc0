"""Writes the runs of a plan as loops, one after the other: each goes over its keys in steps."""

from __future__ import annotations

from typing import assert_never

from attncc.codegen.triton.breaking import WIDTH
from attncc.codegen.triton.listed import listed, met, remark, units
from attncc.codegen.triton.step import step_lines
from attncc.codegen.triton.tile import TileText
from attncc.codegen.writer import Writer
from attncc.ir.expr import (
    STRIP,
    TRUE,
    BoolExpr,
    Compare,
    Int,
    IntExpr,
    Not,
    Param,
    Sub,
    Var,
)
from attncc.ir.fold import conjunction, fold
from attncc.ir.linear import tidy
from attncc.ir.tile import Body, Branch, Run, Strips, runs

KV = Var("kv")


def loops(w: Writer, tile: TileText, nodes: Body, where: BoolExpr = TRUE) -> None:
    """Writes the runs of `nodes`, one after the other; they are empty unless `where`.

    A branch is written as loops that are empty where it is not taken: tiles in flight inside an `if` would get shared
    memory of their own.
    """
    if where != TRUE and not all(isinstance(node, Branch) for node in nodes[:1]):
        tile.named(w, "here", tile.numbers, where)
    for at, node in enumerate(nodes):
        match node:
            case Run():
                _run(w, tile, nodes, at, where)
            case Strips(lo, hi, step, inner):
                first, stop = _ends(w, tile, lo, hi, where, STRIP)
                with w.block(f"for {STRIP} in range({first}, {stop}, {step}):"):
                    loops(w, tile, inner)
            case Branch(condition, then, orelse):
                if where == TRUE and any(run.joined for run in runs((node,))):
                    w.line("rest = 0")
                loops(w, tile, then, conjunction(where, condition))
                loops(w, tile, orelse, conjunction(where, fold(Not(condition))))
                if where != TRUE and nodes[at + 1 :]:
                    tile.named(w, "here", tile.numbers, where)
            case _:
                assert_never(node)


def _run(w: Writer, tile: TileText, nodes: Body, at: int, where: BoolExpr) -> None:
    run = nodes[at]
    assert isinstance(run, Run), "the other nodes hold runs"
    w.line()
    if tile.unit is not None:
        units(w, tile, run, where != TRUE)
    elif run.over is not None:
        listed(w, tile, run, where != TRUE, met(nodes, at - 1) is not None, met(nodes, at))
    elif run.mask is None and run.only == TRUE:
        _full(w, tile, run, where)
    else:
        _partial(w, tile, run, where)


def _ends(w: Writer, tile: TileText, first: IntExpr, stop: IntExpr, where: BoolExpr, name: str = "") -> tuple[str, str]:
    """Both ends of a range as text; those of a guarded range, and long ones, get names first."""
    strength = tile.numbers.language.sums
    start, end = tile.numbers(first, strength), tile.numbers(stop, strength)
    if where == TRUE and len(start) + len(end) <= WIDTH - len("for start in range(, - rest, BLOCK_N):"):
        return start, end
    prefix = f"{name}_" if name else ""
    if not isinstance(first, Int):
        w.line(f"{prefix}first = {tile.numbers(first)}")
        start = f"{prefix}first"
    w.line(f"{prefix}stop = {end if where == TRUE else f'tl.where(here, {tile.numbers(stop)}, {start})'}")
    return start, f"{prefix}stop"


def _full(w: Writer, tile: TileText, run: Run, where: BoolExpr) -> None:
    """Whole steps without a mask; an incomplete last one is left to the run after it, or masked."""
    w.line(remark(run))
    first, stop = _ends(w, tile, run.first, run.stop, where)
    if whole(tile, tidy(Sub(run.stop, run.first))):
        _steps(w, tile, first, stop, None)
        return
    count = tile.numbers(tidy(Sub(run.stop, run.first))) if stop != "stop" else f"stop - {first}"
    if run.joined:
        left = f"tl.maximum({count}, 0) % BLOCK_N"
        w.line(f"rest = {left if where == TRUE else f'tl.where(here, {left}, rest)'}")
        _steps(w, tile, first, f"{stop} - rest", None)
        return
    w.line(f"tail = tl.maximum({count}, 0) % BLOCK_N")
    _steps(w, tile, first, f"{stop} - tail", None)
    w.line("# The last of them, less than a step.")
    _steps(w, tile, f"{stop} - tail", stop, Compare("<", KV, run.stop))


def whole(tile: TileText, count: IntExpr) -> bool:
    """Whether a run is known to be a number of whole steps."""
    match count:
        case Int(value):
            return value % tile.block_n == 0
        case Param(name):
            return tile.numbers.params[name] % tile.block_n == 0
        case _:
            return False


def _partial(w: Writer, tile: TileText, run: Run, where: BoolExpr) -> None:
    w.line(remark(run, run.joined))
    mask = conjunction(run.only, TRUE if run.mask is None else run.mask)
    mask = conjunction(mask, Compare("<", KV, run.stop)) if run.bounded else mask
    first, stop = _ends(w, tile, run.first, run.stop, where)
    rest = "rest" if where == TRUE else "tl.where(here, rest, 0)"
    _steps(w, tile, f"{first} - {rest}" if run.joined else first, stop, mask)


def _steps(w: Writer, tile: TileText, first: str, stop: str, mask: BoolExpr | None) -> None:
    """Steps of BLOCK_N keys. One step is a loop too: only in loops does Triton load ahead of time."""
    with w.block(f"for start in range({first}, {stop}, BLOCK_N):"):
        step_lines(w, tile, mask)
