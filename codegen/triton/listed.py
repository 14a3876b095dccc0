"""Writes the loops that do not simply count keys: over the keys of a list, and over whole units of keys."""

from __future__ import annotations

from attncc.codegen.triton.breaking import WIDTH
from attncc.codegen.triton.lists import place_text
from attncc.codegen.triton.step import PRESENT, step_lines
from attncc.codegen.triton.tile import TileText
from attncc.codegen.writer import Writer
from attncc.ir.expr import TRUE, ZERO, And, BoolExpr, Compare, IntExpr, Max, Or, Var
from attncc.ir.fold import conjunction
from attncc.ir.text import text
from attncc.ir.tile import Body, Run

KV = Var("kv")

#: Of the places in a list that a step looks at, those whose keys all rows see.
SEEN = Compare("<", Var("place"), Var("seen"))


def remark(run: Run, rest: bool = False) -> str:
    """The comment above a run: which keys it is for. `rest`: and what is left of the run before."""
    whose = "" if run.over is None else f" of `{run.over}`"
    where = "" if run.only == TRUE else f", where {text(run.only)}"
    who = "all" if run.mask is None else "some"
    return f"# Keys{whose} that {who} rows see{where}{', and the rest of those before' if rest else ''}."


def met(nodes: Body, at: int) -> Run | None:
    """The run after `at`, if it begins where that one, over the same list and without anything to check, ends."""
    match nodes[at : at + 2] if at >= 0 else ():
        case (Run(mask=None) as full, Run() as partial) if full.over is not None and full.over == partial.over:
            joint = partial.first in (full.stop, Max(ZERO, full.stop), Max(full.stop, ZERO))
            return partial if joint and partial.mask is not None and full.only == partial.only == TRUE else None
        case _:
            return None


def listed(w: Writer, tile: TileText, run: Run, guarded: bool, rest: bool, after: Run | None) -> None:
    """The keys of the tile's row of a list, from the first to the last place whose key lies in the run.

    An incomplete step is left to the run `after`, where there is one; `rest`: this is such a run.
    """
    assert run.over is not None, "the run goes over a list"
    w.line(remark(run, rest))
    if rest:
        w.line("seen = stop")
        _stop(w, tile, run.over, run.stop, "seen" if guarded else None)
        w.line("stop = tl.maximum(stop, seen)")
        assert run.mask is not None, "runs that meet are a full and a masked one"
        _steps(w, tile, run.over, "seen - tail", "stop", And(PRESENT, Or(SEEN, run.mask)))
        return
    first = _first(w, tile, run.over, run.first)
    # Where the next one begins, none of the keys that exist is left out between them.
    _stop(w, tile, run.over, run.stop if after is None else after.first, first if guarded else None)
    if run.mask is not None or run.only != TRUE:
        mask = conjunction(PRESENT, conjunction(run.only, TRUE if run.mask is None else run.mask))
        _steps(w, tile, run.over, first, "stop", mask)
        return
    count = "stop" if first == "0" else "tl.maximum(stop - first, 0)"
    w.line(f"tail = {count} % BLOCK_N")
    _steps(w, tile, run.over, first, "stop - tail", None)
    if after is None:
        w.line("# The last of them, less than a step.")
        _steps(w, tile, run.over, "stop - tail", "stop", PRESENT)


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


def _first(w: Writer, tile: TileText, over: str, key: IntExpr) -> str:
    """Names the first place of a run; no name is needed for 0."""
    if key == ZERO and tile.lists[over].step is None:
        return "0"
    _named(w, tile, over, "first", key)
    return "first"


def _stop(w: Writer, tile: TileText, over: str, key: IntExpr, first: str | None) -> None:
    """Names the place where a run stops; where it is guarded, that is its `first` unless it is `here`."""
    _named(w, tile, over, "stop", key)
    if first is not None:
        w.line(f"stop = tl.where(here, stop, {first})")


def _named(w: Writer, tile: TileText, over: str, name: str, key: IntExpr) -> None:
    line = f"{name} = {place_text(over, tile.lists[over], tile.numbers(key, tile.numbers.language.sums))}"
    if len(line) > WIDTH:
        w.line(f"{name} = {tile.numbers(key)}")
        line = f"{name} = {place_text(over, tile.lists[over], name)}"
    w.line(line)


def _steps(w: Writer, tile: TileText, over: str, first: str, stop: str, mask: BoolExpr | None) -> None:
    with w.block(f"for start in range({first}, {stop}, BLOCK_N):"):
        step_lines(w, tile, mask, over)
