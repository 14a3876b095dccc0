"""Writes the loops that do not simply count keys: over the keys of a list, and over whole units of keys."""

from __future__ import annotations

from attncc.codegen.triton.breaking import WIDTH
from attncc.codegen.triton.lists import place_text
from attncc.codegen.triton.step import PRESENT, step_lines
from attncc.codegen.triton.tile import TileText
from attncc.codegen.writer import Writer
from attncc.ir.expr import TRUE, ZERO, BoolExpr, Compare, IntExpr, Var
from attncc.ir.fold import conjunction
from attncc.ir.text import text
from attncc.ir.tile import Run

KV = Var("kv")


def remark(run: Run) -> str:
    """The comment above a run: which keys it is for."""
    whose = "" if run.over is None else f" of `{run.over}`"
    rest = ", and the rest of those before" if run.joined and run.mask is not None else ""
    where = "" if run.only == TRUE else f", where {text(run.only)}"
    return f"# Keys{whose} that {'all' if run.mask is None else 'some'} rows see{where}{rest}."


def listed(w: Writer, tile: TileText, run: Run, guarded: bool) -> None:
    """The keys of the tile's row of a list, from the first to the last place whose key lies in the run."""
    assert run.over is not None, "the run goes over a list"
    w.line(remark(run))
    first = _places(w, tile, run.over, run, guarded)
    if run.mask is None and run.only == TRUE:
        count = "stop" if first == "0" else "tl.maximum(stop - first, 0)"
        w.line(f"tail = {count} % BLOCK_N")
        _steps(w, tile, run.over, first, "stop - tail", None)
        w.line("# The last of them, less than a step.")
        _steps(w, tile, run.over, "stop - tail", "stop", PRESENT)
        return
    mask = conjunction(PRESENT, conjunction(run.only, TRUE if run.mask is None else run.mask))
    _steps(w, tile, run.over, first, "stop", mask)


def units(w: Writer, tile: TileText, run: Run, guarded: bool) -> None:
    """Whole units of keys, one a step; in the first and the last, keys outside the run are masked."""
    unit = tile.unit
    assert unit is not None, "the rule of combination asks for whole units"
    w.line(remark(run))
    w.line(f"first = {tile.numbers(run.first)}")
    stop = tile.numbers(run.stop)
    w.line(f"stop = {f'tl.where(here, {stop}, first)' if guarded else stop}")
    mask = conjunction(run.only, TRUE if run.mask is None else run.mask)
    for check in (Compare(">=", KV, Var("first")), Compare("<", KV, Var("stop"))):
        mask = conjunction(mask, check)
    if not tile.whole:
        mask = conjunction(mask, Compare("<", KV, Var(f"start + {unit}")))
    if run.over is None:
        with w.block(f"for start in range(first // {unit} * {unit}, stop, {unit}):"):
            step_lines(w, tile, mask)
        return
    geometry = tile.lists[run.over]
    assert geometry.step is None, "units of keys are no distances"
    w.line(f"first_at = {place_text(run.over, geometry, 'first')} // {unit}")
    w.line(f"stop_at = ({place_text(run.over, geometry, 'stop')} + {unit} - 1) // {unit}")
    with w.block("for at in range(first_at, stop_at):"):
        w.line(f"start = tl.load({run.over}_entries + at) * {unit}")
        step_lines(w, tile, mask)


def _places(w: Writer, tile: TileText, over: str, run: Run, guarded: bool) -> str:
    """Names the places of a run in a list `first` and `stop`; returns the first, which may be a literal 0."""
    first = "first"
    if run.first == ZERO and tile.lists[over].step is None:
        first = "0"
    else:
        _named(w, tile, over, "first", run.first)
    _named(w, tile, over, "stop", run.stop)
    if guarded:
        w.line(f"stop = tl.where(here, stop, {first})")
    return first


def _named(w: Writer, tile: TileText, over: str, name: str, key: IntExpr) -> None:
    line = f"{name} = {place_text(over, tile.lists[over], tile.numbers(key, tile.numbers.language.sums))}"
    if len(line) > WIDTH:
        w.line(f"{name} = {tile.numbers(key)}")
        line = f"{name} = {place_text(over, tile.lists[over], name)}"
    w.line(line)


def _steps(w: Writer, tile: TileText, over: str, first: str, stop: str, mask: BoolExpr | None) -> None:
    with w.block(f"for start in range({first}, {stop}, BLOCK_N):"):
        step_lines(w, tile, mask, over)
