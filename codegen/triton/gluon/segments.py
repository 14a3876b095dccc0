"""The runs of a plan as a flat list of stretches of steps, in the order in which they are visited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from attncc.codegen.triton.breaking import WIDTH
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

#: Kinds of steps: without a mask; with the mask of what is kept whatever the sets are. Lists have more of their own.
FULL, MASKED = "full", "masked"


@dataclass(frozen=True, slots=True)
class Kind:
    """Steps that are written alike: with one `mask` or none, and copied whole, or in pieces from a list (`pieces`)."""

    name: str
    mask: BoolExpr | None = None
    pieces: str | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """Steps of BLOCK_N places from `first` to before `stop`, both texts; `lines` stand before them.

    Places are keys, unless they are those of a list (`over`), or of strips (`strip`).
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
    """The stretches of a plan, in its order, and the kinds of their steps, in that of visits: first without a mask."""

    segments: tuple[Segment, ...]
    kinds: tuple[Kind, ...]


def unfit(plan: TilePlan) -> str | None:
    """Why the plan has no such list; None if it has."""
    params, block_n = dict(plan.pattern.params), plan.tiling.block_n
    if not any(True for _ in plan.runs()):
        return "it sees no key"
    if plan.pattern.combine.rule != "softmax":
        return f"its rule of combination is {plan.pattern.combine.rule}"
    if not all(fits(node, params, block_n) for node in _all(plan.body) if isinstance(node, Strips)):
        return f"its strips are no whole steps of {block_n} keys that all rows see"
    if any(run.over is None and given(own(run)) for run in plan.runs()):
        return "its mask asks inputs of keys that no list names"
    sizes = {one.name: one.geometry.size for one in plan.lists}
    listed = (run.over for run in plan.runs() if run.over is not None)
    reason = next(filter(None, (misfit(name, sizes[name], block_n) for name in listed)), None)
    if reason is None and any(isinstance(part, Member) for run in plan.runs() for part in parts(own(run))):
        return "it looks single keys up in a list"
    if reason is None and _ragged(plan.body, params, {name: min(size, block_n) for name, size in sizes.items()}):
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
    written = _Segments(numbers, plan.tiling.block_n, {one.name: one.geometry.size for one in plan.lists})
    found = tuple(written.of(plan.body, TRUE))
    used = {one.kind for one in found if one.stop}
    kinds = [Kind(FULL)] * (FULL in used) + [one for one in written.kinds if one.mask is None]
    if MASKED in used or all(one.mask is None for one in written.kinds):
        kinds.append(Kind(MASKED, isolated(settled(fold(plan.pattern.mask)))))
    return Steps(found, (*kinds, *(one for one in written.kinds if one.mask is not None)))


def _ragged(body: Body, params: Mapping[str, int], grains: Mapping[str, int]) -> bool:
    """Whether a run over a list begins inside a step that a run without a mask would have."""
    for at, node in enumerate(body):
        if isinstance(node, Branch) and any(_ragged(side, params, grains) for side in (node.then, node.orelse)):
            return True
        if isinstance(node, Run) and node.over is not None and ragged(chain_of(body, at), params, grains[node.over]):
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
    """Writes the stretches of one plan. `sizes`: keys of a unit of each list; `kinds` grows as lists are met."""

    numbers: TritonPrinter
    block_n: int
    sizes: Mapping[str, int]
    kinds: list[Kind] = field(default_factory=list)

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
                        lines = () if where == TRUE else (f"here = {self.numbers(where)}",)
                        yield Segment(remark(run), lines, "0", self._guarded(count, where, "0"), FULL, strip=strip)
                case _:
                    assert_never(node)

    def _guarded(self, stop: str, where: BoolExpr, first: str) -> str:
        return stop if where == TRUE else f"tl.where(here, {stop}, {first})"

    def _chain(self, chain: tuple[Run, ...], where: BoolExpr) -> Iterator[Segment]:
        """Runs over one list: places are those of its keys. Where a step is several units, an incomplete one of those
        that all rows see is left to the masked ones."""
        lead, over = chain[0], chain[0].over
        assert over is not None, "chains go over a list"
        first = "0" if lead.first == ZERO else "first"
        lines = [] if where == TRUE else [f"here = {self.numbers(where)}"]
        lines += [] if lead.first == ZERO else self._place("first", over, lead.first, 0)
        seen, pieces = first, over if self.sizes[over] < self.block_n else None
        if own(lead) == TRUE:
            lines += self._place("seen", over, lead.stop, 0)
            if pieces is not None:
                lines.append(f"seen -= {'seen' if first == '0' else f'tl.maximum(seen - {first}, 0)'} % BLOCK_N")
            kind = FULL if pieces is None else self._kind(Kind(f"{FULL}_{over}", None, pieces))
            yield Segment(remark(lead), tuple(lines), first, self._guarded("seen", where, first), kind, over)
            apart = len(chain) > 1 and chain[1].first in (lead.stop, Max(ZERO, lead.stop), Max(lead.stop, ZERO))
            seen, lines = "seen" if first == "0" or apart else "tl.maximum(first, seen)", []
        lines += self._place("stop", over, chain[-1].stop, self._grain(over) - 1)
        about = remark(chain[-1]) if own(chain[-1]) != TRUE else "# The last of them, less than a step."
        mask = covered(chain, self.numbers.params, self._grain(over))
        kind = self._kind(Kind(f"{MASKED}_{over}", isolated(mask), pieces))
        yield Segment(about, tuple(lines), seen, self._guarded("stop", where, seen), kind, over)

    def _grain(self, over: str) -> int:
        """So many keys of a list are copied together."""
        return min(self.sizes[over], self.block_n)

    def _kind(self, kind: Kind) -> str:
        """Adds a kind, under a name of its own."""
        taken = {one.name for one in self.kinds}
        name = kind.name if kind.name not in taken else f"{kind.name}_{len(taken)}"
        self.kinds.append(replace(kind, name=name))
        return name

    def _place(self, name: str, over: str, key: IntExpr, more: int) -> list[str]:
        """Names how many keys of a list lie before those that are copied with `key`, or with what is `more` beyond."""
        size = "BLOCK_N" if self._grain(over) == self.block_n else f"{over.upper()}_SIZE"
        upto = self.numbers(tidy(Add(key, Int(more))), self.numbers.language.products)
        before = f"keys_before({over}_entries, {over}_count, key, {over.upper()}_SIZE)"
        return [f"key = {upto} // {size} * {size}", f"{name} = {before}"]

    def _run(self, run: Run, where: BoolExpr) -> Iterator[Segment]:
        first, stop, lines = self._ends(run, where)
        if run.mask is not None:
            rest = "rest" if where == TRUE else "tl.where(here, rest, 0)"
            yield Segment(remark(run, run.joined), lines, f"{first} - {rest}" if run.joined else first, stop, MASKED)
            return
        count = tidy(Sub(run.stop, run.first))
        if aligned(count, self.numbers.params, self.block_n):
            yield Segment(remark(run), lines, first, stop, FULL)
            return
        many = f"stop - {first}" if stop == "stop" else self.numbers(count)
        if run.joined:
            left = f"tl.maximum({many}, 0) % BLOCK_N"
            line = f"rest = {left if where == TRUE else f'tl.where(here, {left}, rest)'}"
            yield Segment(remark(run), (*lines, line), first, f"{stop} - rest", FULL)
            return
        line = f"tail = tl.maximum({many}, 0) % BLOCK_N"
        yield Segment(remark(run), (*lines, line), first, f"{stop} - tail", FULL)
        yield Segment("# The last of them, less than a step.", (), f"{stop} - tail", stop, MASKED)

    def _ends(self, run: Run, where: BoolExpr) -> tuple[str, str, tuple[str, ...]]:
        """Both ends of a run as text, and lines before them: those of a guarded run, and long ones, get names."""
        strength = self.numbers.language.sums
        first, stop = self.numbers(run.first, strength), self.numbers(run.stop, strength)
        if where == TRUE and len(first) + len(stop) <= WIDTH - len("rest = gl.maximum( - , 0) % BLOCK_N"):
            return first, stop, ()
        lines = [] if where == TRUE else [f"here = {self.numbers(where)}"]
        if not isinstance(run.first, Int):
            lines.append(f"first = {first}")
            first = "first"
        lines.append(f"stop = {self._guarded(self.numbers(run.stop), where, first)}")
        return first, "stop", tuple(lines)
