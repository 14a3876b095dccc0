"""The runs of a plan as C: one call of a `visit_...` function for each run of keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from attncc.codegen.cpu.exprs import CPrinter
from attncc.codegen.cpu.kinds import Kinds, kind_of
from attncc.codegen.cpu.layout import INDENT, listed
from attncc.codegen.writer import Writer
from attncc.ir.expr import ONE, STRIP, Add, IntExpr, Not, Var, names
from attncc.ir.tile import Body, Branch, Run, Strips, TilePlan


def mentioned(plan: TilePlan) -> frozenset[str]:
    """Every name in an end, a condition or a mask of the plan."""
    return _mentioned(plan.body)


def _mentioned(body: Body) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for node in body:
        match node:
            case Run(first, stop, mask):
                found |= names(first) | names(stop) | names(node.only) | (frozenset() if mask is None else names(mask))
            case Strips(lo, hi, _, inner):
                found |= names(lo) | names(hi) | _mentioned(inner)
            case Branch(condition, then, orelse):
                found |= names(condition) | _mentioned(then) | _mentioned(orelse)
            case _:
                assert_never(node)
    return found


@dataclass(frozen=True, slots=True)
class LoopWriter:
    """Writes bodies of a plan into `writer` as calls of visit_<kind>, with `block` as their pointer."""

    writer: Writer
    printer: CPrinter
    kinds: Kinds
    block: str

    def body(self, body: Body) -> None:
        for node in body:
            match node:
                case Strips(lo, hi, step, (Run(Var("strip"), Add(Var("strip"), stop)) as run,)) if (
                    stop == ONE and kind_of(run).walk == "visit"
                ):
                    self._visit(run, lo, hi, step)
                case Run(first, stop):
                    self._visit(node, first, stop, 1)
                case Strips():
                    self._strips(node)
                case Branch():
                    self._branch(node)
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

    def _strips(self, strips: Strips) -> None:
        lo, hi = self.printer(strips.lo), self.printer(strips.hi)
        advance = f"{STRIP}++" if strips.step == 1 else f"{STRIP} += {strips.step}"
        opening = f"for (int64_t {STRIP} = {lo}, {STRIP}_stop = {hi}; {STRIP} < {STRIP}_stop; {advance}) {{"
        with self.writer.block(opening, "}"):
            self.body(strips.body)

    def _visit(self, run: Run, first: IntExpr, stop: IntExpr, step: int) -> None:
        kind = kind_of(run)
        arguments = [self.block, self.printer(first), self.printer(stop)]
        if kind.walk == "visit":
            arguments.append(str(step))
        self.writer.lines(listed(f"{self.kinds.visit(kind)}(", arguments, ");", column=self.writer.column + INDENT))
