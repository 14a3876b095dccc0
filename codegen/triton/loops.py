"""Writes the loops of a plan: for each tile its product, mask, softmax step and sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from attncc.codegen.triton.exprs import TritonPrinter
from attncc.codegen.triton.score import factor_text, rule_lines, sloped
from attncc.codegen.writer import Writer
from attncc.ir.expr import Add, And, BoolExpr, Expr, Int, Not, Or, names
from attncc.ir.pattern import ScoreRule
from attncc.ir.tile import Body, Branch, RangeLoop

#: Lines longer than this are broken up.
WIDTH = 100


@dataclass(frozen=True, slots=True)
class TileText:
    """What the tiles of all loops have in common. `padded`: a key row is shorter than a tile is wide."""

    numbers: TritonPrinter
    tiles: TritonPrinter
    rules: tuple[ScoreRule, ...]
    descriptors: bool
    padded: bool
    precision: str

    @property
    def columns(self) -> str:
        """The constant that holds the width of a tile."""
        return "HEAD_BLOCK" if self.padded else "HEAD_DIM"

    def body(self, w: Writer, nodes: Body) -> None:
        """Writes `nodes`, one after the other."""
        for node in nodes:
            match node:
                case RangeLoop():
                    self._loop(w, node)
                case Branch(condition, then, orelse):
                    self._branch(w, condition, then, orelse)
                case _:
                    assert_never(node)

    def _branch(self, w: Writer, condition: BoolExpr, then: Body, orelse: Body) -> None:
        if not then:
            self._branch(w, Not(condition), orelse, then)
            return
        with w.block(f"if {self.numbers(condition)}:"):
            self.body(w, then)
        if orelse:
            with w.block("else:"):
                self.body(w, orelse)

    def _loop(self, w: Writer, loop: RangeLoop) -> None:
        w.line("# Full tiles." if loop.mask is None else "# Partial tiles.")
        if loop.hi == Add(loop.lo, Int(1)) and not isinstance(loop.lo, Int):
            self._sieved(w, loop, f"unit = {self.numbers(loop.lo)}")
            return
        bounds = [self.numbers(loop.lo), self.numbers(loop.hi), *([str(loop.step)] if loop.step != 1 else [])]
        with w.block(f"for unit in range({', '.join(bounds)}):"):
            self._sieved(w, loop, None)

    def _sieved(self, w: Writer, loop: RangeLoop, unit: str | None) -> None:
        if unit is not None:
            w.line(unit)
        if loop.sieve is None:
            self._tile(w, loop)
            return
        with w.block(f"if {self.numbers(loop.sieve)}:"):
            self._tile(w, loop)

    def _tile(self, w: Writer, loop: RangeLoop) -> None:
        w.line("start = unit * BLOCK_N")
        if not self.descriptors:
            w.line("kv_row = (start + lane).to(tl.int64)")
        w.line(f"key = {self._load('key', loop.overhang)}")
        w.line(f"score = tl.dot(query, key.T{self.precision})")
        if self._asks_position(loop):
            w.line("kv = start + tl.arange(0, BLOCK_N)[None, :]")
        for line in rule_lines(self.rules):
            w.line(line)
        if loop.mask is not None:
            self._mask(w, loop.mask)
        w.line(f"weight, rescale, row_max, row_sum = softmax_step(score, {factor_text(self.rules)}, row_max, row_sum)")
        w.line(f"value = {self._load('value', loop.overhang)}")
        w.line(f"acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None]{self.precision})")

    def _asks_position(self, loop: RangeLoop) -> bool:
        masked = loop.mask is not None and "kv" in names(loop.mask)
        return masked or sloped(self.rules)

    def _load(self, tensor: str, overhang: bool) -> str:
        if self.descriptors:
            return f"{tensor}_tiles.load([start, 0])"
        checks = ["kv_row < kv_len"] * overhang + ["dim < HEAD_DIM"] * self.padded
        mask = " & ".join(f"({check})" for check in checks) if len(checks) > 1 else "".join(checks)
        masked = f", mask={mask}, other=0.0" if mask else ""
        return f"tl.load({tensor}_head_ptr + kv_row * {tensor}_row_stride + dim{masked})"

    def _mask(self, w: Writer, mask: BoolExpr) -> None:
        """Scores outside `mask` become -inf; a mask too long for the line is written part by part first."""
        line = f'score = tl.where({self.tiles(mask)}, score, float("-inf"))'
        if len(line) <= WIDTH:
            w.line(line)
            return
        sign, strength = self.tiles.language.disjunction if isinstance(mask, Or) else self.tiles.language.conjunction
        first, *rest = (self.tiles(part, strength + 1) for part in _parts(mask, type(mask)))
        with w.block("keep = (", ")"):
            w.line(first)
            w.lines("\n".join(f"{sign} {part}" for part in rest))
        w.line('score = tl.where(keep, score, float("-inf"))')


def _parts(expr: Expr, kind: type[BoolExpr]) -> list[Expr]:
    """The operands of a chain of one kind."""
    match expr:
        case And(left, right) | Or(left, right) if isinstance(expr, kind):
            return [*_parts(left, kind), *_parts(right, kind)]
        case _:
            return [expr]
