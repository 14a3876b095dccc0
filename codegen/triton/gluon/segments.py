"""The runs of a plan as a flat list of stretches of steps, in the order in which they are visited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attncc.codegen.triton.exprs import TritonPrinter
from attncc.codegen.triton.listed import remark
from attncc.ir.expr import TRUE, BoolExpr, Compare, Int, IntExpr, Not, Param, Sub, Var
from attncc.ir.fold import conjunction, fold
from attncc.ir.linear import tidy
from attncc.ir.schedule import Schedule
from attncc.ir.tile import Body, Branch, Run, Strips, TilePlan, runs

KV = Var("kv")


@dataclass(frozen=True, slots=True)
class Segment:
    """Steps of BLOCK_N keys from `first` to before `stop`, both texts; `lines` stand before them. Without a `mask`, all
    rows see all keys of every step."""

    remark: str
    lines: tuple[str, ...]
    first: str
    stop: str
    mask: BoolExpr | None


def unfit(plan: TilePlan) -> str | None:
    """Why the plan has no such list; None if it has."""
    if any(isinstance(node, Strips) for node in _all(plan.body)):
        return "its runs lie in strips"
    if any(run.over is not None for run in plan.runs()):
        return "its keys are chosen at run time"
    if plan.pattern.inputs:
        return "its mask asks for inputs"
    if plan.pattern.combine.rule != "softmax":
        return f"its rule of combination is {plan.pattern.combine.rule}"
    return None


def unlowered(plan: TilePlan, schedule: Schedule) -> str | None:
    """Why this schedule of a plan has no Gluon kernel; None if it has."""
    reason = unfit(plan)
    if reason is not None:
        return f"there is no Gluon kernel, since {reason}"
    if all(name != "lowering" for name, _ in schedule.choices):
        return "Gluon kernels are made for prompts of 16-bit elements with head_dim 64 or 128 on sm_90"
    return None


def segments(plan: TilePlan, numbers: TritonPrinter, block_n: int) -> tuple[Segment, ...]:
    """The stretches of a plan that is not `unfit`."""
    return tuple(_segments(plan.body, numbers, block_n, TRUE))


def _all(body: Body) -> Iterator[Run | Strips | Branch]:
    for node in body:
        yield node
        if isinstance(node, Branch):
            yield from _all((*node.then, *node.orelse))


def _segments(body: Body, numbers: TritonPrinter, block_n: int, where: BoolExpr) -> Iterator[Segment]:
    for node in body:
        match node:
            case Run():
                yield from _run(node, numbers, block_n, where)
            case Branch(condition, then, orelse):
                if where == TRUE and any(run.joined for run in runs((node,))):
                    yield Segment("", ("rest = 0",), "", "", None)
                yield from _segments(then, numbers, block_n, conjunction(where, condition))
                yield from _segments(orelse, numbers, block_n, conjunction(where, fold(Not(condition))))
            case Strips():
                raise AssertionError("strips are unfit")


def _run(run: Run, numbers: TritonPrinter, block_n: int, where: BoolExpr) -> Iterator[Segment]:
    first, stop = numbers(run.first, numbers.language.sums), numbers(run.stop, numbers.language.sums)
    rest = "rest" if where == TRUE else f"tl.where({numbers(where)}, rest, 0)"
    if where != TRUE:
        stop = f"tl.where({numbers(where)}, {numbers(run.stop)}, {numbers(run.first)})"
    if run.mask is not None or run.only != TRUE:
        mask = conjunction(run.only, TRUE if run.mask is None else run.mask)
        mask = conjunction(mask, Compare("<", KV, run.stop)) if run.bounded else mask
        yield Segment(remark(run, run.joined), (), f"{first} - {rest}" if run.joined else first, stop, mask)
        return
    count = tidy(Sub(run.stop, run.first))
    if _whole(count, numbers, block_n):
        yield Segment(remark(run), (), first, stop, None)
        return
    many = numbers(count) if where == TRUE else f"{stop} - {numbers(run.first, numbers.language.products)}"
    if run.joined:
        left = f"tl.maximum({many}, 0) % BLOCK_N"
        line = f"rest = {left if where == TRUE else f'tl.where({numbers(where)}, {left}, rest)'}"
        yield Segment(remark(run), (line,), first, f"{stop} - rest", None)
        return
    yield Segment(remark(run), (f"tail = tl.maximum({many}, 0) % BLOCK_N",), first, f"{stop} - tail", None)
    yield Segment("# The last of them, less than a step.", (), f"{stop} - tail", stop, Compare("<", KV, run.stop))


def _whole(count: IntExpr, numbers: TritonPrinter, block_n: int) -> bool:
    """Whether a run is known to be a number of whole steps."""
    match count:
        case Int(value):
            return value % block_n == 0
        case Param(name):
            return numbers.params[name] % block_n == 0
        case _:
            return False
