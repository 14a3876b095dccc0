"""Writes the runs of a plan as one loop, whose work the compiler shares out to warps of their own: copies, products,
softmax. It can do so with one loop only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from attncc.codegen.triton.listed import remark
from attncc.codegen.triton.loops import whole
from attncc.codegen.triton.score import factor_text, rule_lines, sloped
from attncc.codegen.triton.step import mask_lines, tokens
from attncc.codegen.triton.tile import TileText
from attncc.codegen.writer import Writer
from attncc.combines.rule import rules
from attncc.ir.expr import TRUE, BoolExpr, Compare, Not, Sub, Var
from attncc.ir.fold import conjunction, fold
from attncc.ir.linear import tidy
from attncc.ir.tile import Body, Branch, Run, Strips, TilePlan, runs

POSITIONS = "kv = start + tl.arange(0, BLOCK_N)[None, :]"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps from the key `first` to before `stop`, both texts; `lines` stand before them."""

    lines: tuple[str, ...]
    first: str
    stop: str
    masked: bool


def mergeable(plan: TilePlan) -> bool:
    """Whether the runs of a plan are one loop: none in strips, no keys chosen at run time, no inputs in the mask, and a
    rule of combination that weighs each key by itself."""
    if plan.lists or any(_strips(plan.body)):
        return False
    if any(tokens(run.mask, position) for run in plan.runs() for position in ("q", "kv")):
        return False
    return rules()[plan.pattern.combine.rule].TRITON.unit is None


def _strips(body: Body) -> Iterator[Strips]:
    for node in body:
        if isinstance(node, Strips):
            yield node
        if isinstance(node, Branch):
            yield from _strips((*node.then, *node.orelse))


def merged(w: Writer, tile: TileText, plan: TilePlan) -> None:
    """The runs of a plan that is `mergeable`: step by step, those without a mask first.

    A tile that sees no key takes one step, of which the mask leaves nothing.
    """
    found = tuple(_stretches(plan.body, tile, TRUE))
    visited = sorted(found, key=lambda one: one.masked)
    w.line()
    if any(isinstance(node, Branch) and any(run.joined for run in runs((node,))) for node in plan.body):
        w.line("rest = 0")
    _ends(w, found, {id(one): at for at, one in enumerate(visited)})
    full, last = sum(not one.masked for one in visited), len(visited) - 1
    w.line()
    w.line("# After how many steps each of them is over.")
    for at in range(len(visited)):
        before = f"over_{at - 1} + " if at else ""
        w.line(f"over_{at} = {before}tl.cdiv(tl.maximum(stop_{at} - first_{at}, 0), BLOCK_N)")
    with w.block(f"for step in tl.range(0, tl.maximum(over_{last}, 1), warp_specialize=True):"):
        _place(w, last)
        w.line("key = key_tiles.load([start, 0])")
        w.line(f"score = tl.dot(query, key.T{tile.precision})")
        if sloped(tile.rules):
            w.line(POSITIONS)
        w.lines("\n".join(rule_lines(tile.rules)))
        if full:
            with w.block(f"if step >= over_{full - 1}:"):
                _mask(w, tile, plan)
        else:
            _mask(w, tile, plan)
        w.lines(tile.combine.step.format(factor=factor_text(tile.rules)))
        w.line("value = value_tiles.load([start, 0])")
        w.line(f"acc = tl.dot(weight.to(value.dtype), value, {tile.combine.carried}{tile.precision})")


def _stretches(body: Body, tile: TileText, where: BoolExpr) -> Iterator[Stretch]:
    """Those of `body`, in its order; they are empty unless `where`."""
    for node in body:
        match node:
            case Run():
                yield from _of_run(node, tile, where)
            case Branch(condition, then, orelse):
                yield from _stretches(then, tile, conjunction(where, condition))
                yield from _stretches(orelse, tile, conjunction(where, fold(Not(condition))))
            case Strips():
                raise AssertionError("plans with strips are not mergeable")
            case _:
                assert_never(node)


def _of_run(run: Run, tile: TileText, where: BoolExpr) -> Iterator[Stretch]:
    """An incomplete last step of a run without a mask is left to the run that it joins, or masked by itself."""
    numbers, strength = tile.numbers, tile.numbers.language.sums
    first, stop = numbers(run.first, strength), numbers(run.stop, strength)
    here = "" if where == TRUE else numbers(where)
    if here:
        stop = f"tl.where({here}, {numbers(run.stop)}, {numbers(run.first)})"
    if run.mask is not None or run.only != TRUE:
        rest = f"tl.where({here}, rest, 0)" if here else "rest"
        yield Stretch((remark(run, run.joined),), f"{first} - {rest}" if run.joined else first, stop, masked=True)
        return
    count = tidy(Sub(run.stop, run.first))
    if whole(tile, count):
        yield Stretch((remark(run),), first, stop, masked=False)
        return
    length = f"{stop} - {numbers(run.first, strength + 1)}" if here else numbers(count)
    left = f"tl.maximum({length}, 0) % BLOCK_N"
    if run.joined:
        line = f"rest = {f'tl.where({here}, {left}, rest)' if here else left}"
        yield Stretch((remark(run), line), first, f"{stop} - rest", masked=False)
        return
    yield Stretch((remark(run), f"tail = {left}"), first, f"{stop} - tail", masked=False)
    yield Stretch(("# The last of them, less than a step.",), f"{stop} - tail", stop, masked=True)


def _ends(w: Writer, found: Sequence[Stretch], number: Mapping[int, int]) -> None:
    """Both ends of every stretch of keys, in the order of the plan, with the numbers by which they are visited."""
    for one in found:
        w.lines("\n".join(one.lines))
        w.line(f"first_{number[id(one)]} = {one.first}")
        w.line(f"stop_{number[id(one)]} = {one.stop}")


def _place(w: Writer, last: int) -> None:
    """Where the step begins, and where its stretch ends."""
    w.line("start = first_0 + step * BLOCK_N")
    w.line("stop = stop_0")
    for at in range(last):
        w.line(f"start = tl.where(step >= over_{at}, first_{at + 1} + (step - over_{at}) * BLOCK_N, start)")
        w.line(f"stop = tl.where(step >= over_{at}, stop_{at + 1}, stop)")


def _mask(w: Writer, tile: TileText, plan: TilePlan) -> None:
    if not sloped(tile.rules):
        w.line(POSITIONS)
    mask_lines(w, tile, conjunction(fold(plan.pattern.mask), Compare("<", Var("kv"), Var("stop"))))
