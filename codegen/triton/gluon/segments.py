"""The runs of a plan as a flat list of stretches of steps, in the order in which they are visited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from attncc.codegen.triton.exprs import TritonPrinter
from attncc.codegen.triton.gluon.chains import aligned, chain_of, covered, misfit, own, ragged
from attncc.codegen.triton.gluon.isolated import isolated
from attncc.codegen.triton.gluon.strips import Strip, fits, strips_of
from attncc.codegen.triton.listed import remark
from attncc.ir.expr import (
    FALSE,
    TRUE,
    ZERO,
    Add,
    And,
    BoolExpr,
    Int,
    IntExpr,
    Max,
    Member,
    Not,
    Or,
    Sub,
    given,
    parts,
)
from attncc.ir.fold import conjunction, disjunction, fold
from attncc.ir.linear import tidy
from attncc.ir.schedule import Schedule
from attncc.ir.tile import Body, Branch, Run, Strips, TilePlan, runs

#: Kinds of steps: those without a mask, which come first; those with the mask of what is kept whatever the sets are.
#: Every list whose keys want a mask has a kind of its own.
FULL, MASKED = "full", "masked"


@dataclass(frozen=True, slots=True)
class Segment:
    """Steps of BLOCK_N places from `first` to before `stop`, both texts; `lines` stand before them.

    Places are keys, unless `key` says which key lies at the place `at`: in a list (`over`), or in strips (`strip`).
    """

    remark: str
    lines: tuple[str, ...]
    first: str
    stop: str
    kind: str
    over: str | None = None
    strip: Strip | None = None


@dataclass(frozen=True, slots=True)
class Steps:
    """The stretches of a plan, in its order, and the masks of those kinds of steps that have one, in that of visits."""

    segments: tuple[Segment, ...]
    masks: tuple[tuple[str, BoolExpr], ...]


def unfit(plan: TilePlan) -> str | None:
    """Why the plan has no such list; None if it has."""
    params, block_n = dict(plan.pattern.params), plan.tiling.block_n
    if plan.pattern.combine.rule != "softmax":
        return f"its rule of combination is {plan.pattern.combine.rule}"
    if not all(fits(node, params, block_n) for node in _all(plan.body) if isinstance(node, Strips)):
        return f"its strips are no whole steps of {block_n} keys that all rows see"
    if any(run.over is None and given(own(run)) for run in plan.runs()):
        return "its mask asks inputs of keys that no list names"
    sizes = {one.name: one.geometry for one in plan.lists}
    listed = (run.over for run in plan.runs() if run.over is not None)
    reason = next(filter(None, (misfit(name, sizes[name], block_n) for name in listed)), None)
    if reason is None and any(isinstance(part, Member) for run in plan.runs() for part in parts(own(run))):
        return "it looks single keys up in a list"
    if reason is None and _ragged(plan.body, params, block_n):
        return "a run of its list may begin inside a step"
    return reason


def unlowered(plan: TilePlan, schedule: Schedule) -> str | None:
    """Why this schedule of a plan has no Gluon kernel; None if it has."""
    reason = unfit(plan)
    if reason is not None:
        return f"there is no Gluon kernel, since {reason}"
    if all(name != "lowering" for name, _ in schedule.choices):
        return (
            "Gluon kernels are made for prompts of 16-bit elements with head_dim 64 or 128 on sm_90, "
            "where at least 64 queries share a choice"
        )
    return None


def steps_of(plan: TilePlan, numbers: TritonPrinter) -> Steps:
    """The stretches of a plan that is not `unfit`."""
    written = _Segments(numbers, plan.tiling.block_n)
    found = tuple(written.of(plan.body, TRUE))
    used = {one.kind for one in found}
    masks = [(MASKED, settled(fold(plan.pattern.mask)))] if MASKED in used or used <= {FULL} else []
    return Steps(found, tuple((kind, isolated(mask)) for kind, mask in (*masks, *written.masks)))


def _ragged(body: Body, params: Mapping[str, int], block_n: int) -> bool:
    """Whether a run over a list begins inside a step that a run without a mask would have."""
    for at, node in enumerate(body):
        if isinstance(node, Branch) and any(_ragged(side, params, block_n) for side in (node.then, node.orelse)):
            return True
        if isinstance(node, Run) and node.over is not None and ragged(chain_of(body, at), params, block_n):
            return True
    return False


def _all(body: Body) -> Iterator[Run | Strips | Branch]:
    for node in body:
        yield node
        if isinstance(node, Branch):
            yield from _all((*node.then, *node.orelse))


def settled(mask: BoolExpr) -> BoolExpr:
    """What a mask keeps whatever its sets and inputs are."""
    if not given(mask):
        return mask
    match mask:
        case And(left, right):
            return conjunction(settled(left), settled(right))
        case Or(left, right):
            return disjunction(settled(left), settled(right))
        case _:
            return FALSE


@dataclass(frozen=True, slots=True)
class _Segments:
    """Writes the stretches of one plan; `masks` grows with the kinds that are met."""

    numbers: TritonPrinter
    block_n: int
    masks: list[tuple[str, BoolExpr]] = field(default_factory=list)

    def of(self, body: Body, where: BoolExpr) -> Iterator[Segment]:
        """Those of `body`, which are empty unless `where`."""
        left = 0
        for at, node in enumerate(body):
            match node:
                case Run(over=None):
                    yield from self._run(node, where)
                case Run():
                    if left == 0:
                        left = len(chain_of(body, at))
                        yield from self._chain(chain_of(body, at), where)
                    left -= 1
                case Branch(condition, then, orelse):
                    if where == TRUE and any(run.joined for run in runs((node,))):
                        yield Segment("", ("rest = 0",), "", "", FULL)
                    yield from self.of(then, conjunction(where, condition))
                    yield from self.of(orelse, conjunction(where, fold(Not(condition))))
                case Strips():
                    for run, strip, count in strips_of(node, self.numbers):
                        yield Segment(remark(run), (), "0", self._guarded(count, where, "0"), FULL, strip=strip)
                case _:
                    assert_never(node)

    def _guarded(self, stop: str, where: BoolExpr, first: str) -> str:
        return stop if where == TRUE else f"tl.where({self.numbers(where)}, {stop}, {first})"

    def _chain(self, chain: tuple[Run, ...], where: BoolExpr) -> Iterator[Segment]:
        """Runs over one list: places are those of its keys, and every step is a block of the list or a part of one."""
        lead, over, params = chain[0], chain[0].over, self.numbers.params
        assert over is not None, "chains go over a list"
        plain = own(lead) == TRUE
        first = "0"
        lines: list[str] = []
        if lead.first != ZERO:
            lines += self._place("first", over, lead.first, 0)
            first = "first"
        seen = first
        if plain:
            lines += self._place("seen", over, lead.stop, 0)
            yield Segment(remark(lead), tuple(lines), first, self._guarded("seen", where, first), FULL, over)
            apart = len(chain) > 1 and chain[1].first in (lead.stop, Max(ZERO, lead.stop), Max(lead.stop, ZERO))
            seen, lines = "seen" if first == "0" or apart else "tl.maximum(first, seen)", []
        kind = f"{MASKED}_{over}"
        kind += f"_{len(self.masks)}" * any(kind == name for name, _ in self.masks)
        self.masks.append((kind, covered(chain, params, self.block_n)))
        lines += self._place("stop", over, chain[-1].stop, self.block_n - 1)
        about = remark(chain[-1]) if own(chain[-1]) != TRUE else "# The last of them, less than a step."
        yield Segment(about, tuple(lines), seen, self._guarded("stop", where, seen), kind, over)

    def _place(self, name: str, over: str, key: IntExpr, more: int) -> tuple[str, str]:
        """Names how many keys of a list lie before the step of `key`, or of what is `more` than that."""
        products = self.numbers.language.products
        upto = self.numbers(tidy(Add(key, Int(more))), products)
        before = f"keys_before({over}_entries, {over}_count, key, {over.upper()}_SIZE)"
        return f"key = {upto} // BLOCK_N * BLOCK_N", f"{name} = {before}"

    def _run(self, run: Run, where: BoolExpr) -> Iterator[Segment]:
        numbers = self.numbers
        first, stop = numbers(run.first, numbers.language.sums), numbers(run.stop, numbers.language.sums)
        rest = "rest" if where == TRUE else f"tl.where({numbers(where)}, rest, 0)"
        if where != TRUE:
            stop = f"tl.where({numbers(where)}, {numbers(run.stop)}, {numbers(run.first)})"
        if run.mask is not None:
            yield Segment(remark(run, run.joined), (), f"{first} - {rest}" if run.joined else first, stop, MASKED)
            return
        count = tidy(Sub(run.stop, run.first))
        if aligned(count, numbers.params, self.block_n):
            yield Segment(remark(run), (), first, stop, FULL)
            return
        many = numbers(count) if where == TRUE else f"{stop} - {numbers(run.first, numbers.language.products)}"
        if run.joined:
            left = f"tl.maximum({many}, 0) % BLOCK_N"
            line = f"rest = {left if where == TRUE else f'tl.where({numbers(where)}, {left}, rest)'}"
            yield Segment(remark(run), (line,), first, f"{stop} - rest", FULL)
            return
        yield Segment(remark(run), (f"tail = tl.maximum({many}, 0) % BLOCK_N",), first, f"{stop} - tail", FULL)
        yield Segment("# The last of them, less than a step.", (), f"{stop} - tail", stop, MASKED)
