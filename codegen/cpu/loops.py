"""The loops of a plan as C: one call of a `visit_...` function for each run of keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from attncc.codegen.cpu.exprs import CPrinter, macro
from attncc.codegen.writer import Writer
from attncc.ir.expr import Add, BoolExpr, Int, IntExpr, Min, Mul, Not, Var, names
from attncc.ir.tile import Body, Branch, RangeLoop, TilePlan

KV_LEN = Var("kv_len")


def mask_names(plan: TilePlan) -> Mapping[BoolExpr, str]:
    """A constant of `enum mask` for every different mask of the plan, in the order of the text."""
    masks = dict.fromkeys(loop.mask for loop in plan.loops() if loop.mask is not None)
    return {mask: macro(mask) or f"MASK_{chr(65 + at)}" for at, mask in enumerate(masks)}


def mentioned(plan: TilePlan) -> frozenset[str]:
    """Every name in a bound, a condition or a mask of the plan."""
    return _mentioned(plan.body)


def _mentioned(body: Body) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for node in body:
        match node:
            case Branch(condition, then, orelse):
                found |= names(condition) | _mentioned(then) | _mentioned(orelse)
            case RangeLoop(lo, hi, _, sieve, mask):
                found |= frozenset[str]().union(*(names(expr) for expr in (lo, hi, sieve, mask) if expr is not None))
            case _:
                assert_never(node)
    return found


@dataclass(frozen=True, slots=True)
class LoopWriter:
    """Writes bodies of `plan` into `writer`; the functions called are visit_full and visit_<mask>, all in lower case; `block` is the
    pointer they are given."""

    writer: Writer
    printer: CPrinter
    plan: TilePlan
    masks: Mapping[BoolExpr, str]
    block: str

    def body(self, body: Body) -> None:
        for node in body:
            match node:
                case Branch():
                    self._branch(node)
                case RangeLoop():
                    self._loop(node)
                case _:
                    assert_never(node)

    def _branch(self, branch: Branch) -> None:
        condition = self.printer(branch.condition)
        if not branch.then:
            condition = self.printer(Not(branch.condition))
        with self.writer.block(f"if ({condition}) {{"):
            self.body(branch.then or branch.orelse)
        if branch.then and branch.orelse:
            with self.writer.block("} else {"):
                self.body(branch.orelse)
        self.writer.line("}")

    def _loop(self, loop: RangeLoop) -> None:
        width = self.plan.width
        if loop.sieve is None and (width == 1 or loop.step == 1):
            return self._visit(loop, loop.lo, loop.hi, loop.step)
        lo, hi = self.printer(loop.lo), self.printer(loop.hi)
        advance = "unit++" if loop.step == 1 else f"unit += {loop.step}"
        with self.writer.block(f"for (int64_t unit = {lo}, units = {hi}; unit < units; {advance}) {{", "}"):
            self._unit(loop)

    def _unit(self, loop: RangeLoop) -> None:
        unit = Var("unit")
        if loop.sieve is None:
            return self._visit(loop, unit, Add(unit, Int(1)), 1)
        with self.writer.block(f"if ({self.printer(loop.sieve)}) {{", "}"):
            self._visit(loop, unit, Add(unit, Int(1)), 1)

    def _visit(self, loop: RangeLoop, lo: IntExpr, hi: IntExpr, step: int) -> None:
        """A call for the keys of units lo to hi."""
        name = "full" if loop.mask is None else self.masks[loop.mask].lower()
        first, end = self._keys(lo), self._keys(hi)
        if loop.overhang:
            end = Min(end, KV_LEN)
        self.writer.line(f"visit_{name}({self.block}, {self.printer(first)}, {self.printer(end)}, {step});")

    def _keys(self, units: IntExpr) -> IntExpr:
        return units if self.plan.width == 1 else Mul(units, Int(self.plan.width))
