"""Writes the loops of a plan: for each tile its product, mask, softmax step and sum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from attncc.codegen.triton.breaking import WIDTH, pieces
from attncc.codegen.triton.exprs import TritonPrinter
from attncc.codegen.triton.score import factor_text, rule_lines, sloped
from attncc.codegen.writer import Writer
from attncc.ir.expr import TRUE, Add, And, BoolExpr, Compare, Int, IntExpr, Not, Relation, Sub, names
from attncc.ir.pattern import ScoreRule
from attncc.ir.tile import Body, Branch, RangeLoop

OPPOSITE: Mapping[Relation, Relation] = {"<": ">=", "<=": ">", "==": "!=", "!=": "==", ">=": "<", ">": "<="}


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
        """Writes the loops of `nodes`, one after the other.

        A branch is written as loops that are empty where it is not taken: tiles in flight inside an `if` would get
        shared memory of their own.
        """
        told: BoolExpr = TRUE
        for where, loop in _flat(nodes, TRUE):
            w.line()
            w.line("# Full tiles." if loop.mask is None else "# Partial tiles.")
            if where != TRUE and where != told:
                self._here(w, where)
            self._loop(w, loop, where)
            told = where

    def _here(self, w: Writer, where: BoolExpr) -> None:
        line = f"here = {self.numbers(where)}"
        if len(line) <= WIDTH:
            w.line(line)
            return
        with w.block("here = (", ")"):
            w.lines("\n".join(pieces(self.numbers, where)))

    def _loop(self, w: Writer, loop: RangeLoop, where: BoolExpr) -> None:
        """A single tile stays a loop too: only in loops does Triton copy tiles to shared memory ahead of time."""
        with w.block(f"for unit in range({', '.join(self._bounds(w, loop, where != TRUE))}):"):
            if loop.sieve is None:
                self._tile(w, loop)
                return
            with w.block(f"if {self.numbers(loop.sieve)}:"):
                self._tile(w, loop)

    def _bounds(self, w: Writer, loop: RangeLoop, guarded: bool) -> list[str]:
        """The arguments of `range`; bounds that are long, guarded, or of a single tile, get a name first."""
        lo, hi, step = self.numbers(loop.lo), self.numbers(loop.hi), [str(loop.step)] if loop.step != 1 else []
        single, long = _single(loop), len(lo) + len(hi) > WIDTH - len("for unit in range(, ):")
        if (single or guarded or long) and not isinstance(loop.lo, Int):
            w.line(f"lo = {lo}")
            lo, hi = "lo", "lo + 1" if single else hi
        if guarded or (long and not single):
            w.line(f"hi = tl.where(here, {hi}, {lo})" if guarded else f"hi = {hi}")
            hi = "hi"
        return [hi] if lo == "0" and not step else [lo, hi, *step]

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
        """Scores outside `mask` become -inf."""
        line = f'score = tl.where({self.tiles(mask)}, score, float("-inf"))'
        if len(line) <= WIDTH:
            w.line(line)
            return
        with w.block("keep = (", ")"):
            w.lines("\n".join(pieces(self.tiles, mask)))
        w.line('score = tl.where(keep, score, float("-inf"))')


def _flat(nodes: Body, where: BoolExpr) -> Iterator[tuple[BoolExpr, RangeLoop]]:
    """All loops, each with the condition under which it runs."""
    for node in nodes:
        match node:
            case RangeLoop():
                yield where, node
            case Branch(condition, then, orelse):
                yield from _flat(then, _both(where, condition))
                yield from _flat(orelse, _both(where, _opposite(condition)))
            case _:
                assert_never(node)


def _both(left: BoolExpr, right: BoolExpr) -> BoolExpr:
    match right:
        case _ if left == TRUE:
            return right
        case And(first, second):
            return And(_both(left, first), second)
        case _:
            return And(left, right)


def _opposite(condition: BoolExpr) -> BoolExpr:
    match condition:
        case Compare(relation, left, right):
            return Compare(OPPOSITE[relation], left, right)
        case _:
            return Not(condition)


def _single(loop: RangeLoop) -> bool:
    """Whether the loop visits one tile: its bounds are one apart."""
    (base, lo), (same, hi) = _apart(loop.lo), _apart(loop.hi)
    return base == same and not isinstance(base, Int) and hi - lo == 1


def _apart(expr: IntExpr) -> tuple[IntExpr, int]:
    """`expr` as a sum with a constant."""
    match expr:
        case Add(left, Int(value)):
            return left, value
        case Sub(left, Int(value)):
            return left, -value
        case _:
            return expr, 0
