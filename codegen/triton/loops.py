"""Writes the runs of a plan: steps of BLOCK_N keys, each with its product, mask, softmax step and sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from attncc.codegen.triton.breaking import WIDTH, pieces
from attncc.codegen.triton.exprs import TritonPrinter
from attncc.codegen.triton.score import factor_text, rule_lines, sloped
from attncc.codegen.writer import Writer
from attncc.ir.expr import (
    STRIP,
    TRUE,
    BoolExpr,
    Compare,
    Int,
    IntExpr,
    Not,
    Param,
    Sub,
    Var,
    names,
)
from attncc.ir.fold import conjunction, fold
from attncc.ir.linear import tidy
from attncc.ir.pattern import ScoreRule
from attncc.ir.tile import Body, Branch, Run, Strips, runs

KV = Var("kv")


@dataclass(frozen=True, slots=True)
class TileText:
    """What the steps of all runs have in common. `padded`: a key row is shorter than a tile is wide."""

    numbers: TritonPrinter
    tiles: TritonPrinter
    rules: tuple[ScoreRule, ...]
    descriptors: bool
    padded: bool
    precision: str
    block_n: int

    @property
    def columns(self) -> str:
        """The constant that holds the width of a tile."""
        return "HEAD_BLOCK" if self.padded else "HEAD_DIM"

    def body(self, w: Writer, nodes: Body) -> None:
        """Writes the runs of `nodes`, one after the other.

        A branch is written as loops that are empty where it is not taken: tiles in flight inside an `if` would get
        shared memory of their own.
        """
        self._nodes(w, nodes, TRUE)

    def _nodes(self, w: Writer, nodes: Body, where: BoolExpr) -> None:
        if where != TRUE and not all(isinstance(node, Branch) for node in nodes[:1]):
            self._named(w, "here", where)
        for at, node in enumerate(nodes):
            match node:
                case Run(mask=None):
                    self._full(w, node, where)
                case Run():
                    self._partial(w, node, where)
                case Strips(lo, hi, step, inner):
                    first, stop = self._ends(w, lo, hi, where, STRIP)
                    with w.block(f"for {STRIP} in range({first}, {stop}, {step}):"):
                        self._nodes(w, inner, TRUE)
                case Branch(condition, then, orelse):
                    if where == TRUE and any(run.joined for run in runs((node,))):
                        w.line("rest = 0")
                    self._nodes(w, then, conjunction(where, condition))
                    self._nodes(w, orelse, conjunction(where, fold(Not(condition))))
                    if where != TRUE and nodes[at + 1 :]:
                        self._named(w, "here", where)
                case _:
                    assert_never(node)

    def _named(self, w: Writer, name: str, condition: BoolExpr) -> None:
        line = f"{name} = {self.numbers(condition)}"
        if len(line) <= WIDTH:
            w.line(line)
            return
        with w.block(f"{name} = (", ")"):
            w.lines("\n".join(pieces(self.numbers, condition)))

    def _ends(self, w: Writer, first: IntExpr, stop: IntExpr, where: BoolExpr, name: str = "") -> tuple[str, str]:
        """Both ends of a range as text; those of a guarded range, and long ones, get names first."""
        strength = self.numbers.language.sums
        start, end = self.numbers(first, strength), self.numbers(stop, strength)
        if where == TRUE and len(start) + len(end) <= WIDTH - len("for start in range(, - rest, BLOCK_N):"):
            return start, end
        prefix = f"{name}_" if name else ""
        if not isinstance(first, Int):
            w.line(f"{prefix}first = {self.numbers(first)}")
            start = f"{prefix}first"
        w.line(f"{prefix}stop = {end if where == TRUE else f'tl.where(here, {self.numbers(stop)}, {start})'}")
        return start, f"{prefix}stop"

    def _full(self, w: Writer, run: Run, where: BoolExpr) -> None:
        """Whole steps without a mask; an incomplete last one is left to the run after it, or masked."""
        w.line()
        w.line("# Keys that all rows see.")
        first, stop = self._ends(w, run.first, run.stop, where)
        if self._whole(tidy(Sub(run.stop, run.first))):
            self._steps(w, first, stop, None)
            return
        count = self.numbers(tidy(Sub(run.stop, run.first))) if stop != "stop" else f"stop - {first}"
        if run.joined:
            w.line(f"rest {'=' if where == TRUE else '+='} tl.maximum({count}, 0) % BLOCK_N")
            self._steps(w, first, f"{stop} - rest", None)
            return
        w.line(f"tail = tl.maximum({count}, 0) % BLOCK_N")
        self._steps(w, first, f"{stop} - tail", None)
        w.line("# The last of them, less than a step.")
        self._steps(w, f"{stop} - tail", stop, Compare("<", KV, run.stop))

    def _whole(self, count: IntExpr) -> bool:
        """Whether a run is known to be a number of whole steps."""
        match count:
            case Int(value):
                return value % self.block_n == 0
            case Param(name):
                return self.numbers.params[name] % self.block_n == 0
            case _:
                return False

    def _partial(self, w: Writer, run: Run, where: BoolExpr) -> None:
        assert run.mask is not None, "a run without a mask is a full one"
        w.line()
        w.line(f"# Keys that some rows see{', and the rest of those before' if run.joined else ''}.")
        mask = conjunction(run.mask, Compare("<", KV, run.stop)) if run.bounded else run.mask
        first, stop = self._ends(w, run.first, run.stop, where)
        self._steps(w, f"{first} - rest" if run.joined else first, stop, mask)

    def _steps(self, w: Writer, first: str, stop: str, mask: BoolExpr | None) -> None:
        """Steps of BLOCK_N keys. One step is a loop too: only in loops does Triton load ahead of time."""
        with w.block(f"for start in range({first}, {stop}, BLOCK_N):"):
            self._step(w, mask)

    def _step(self, w: Writer, mask: BoolExpr | None) -> None:
        if not self.descriptors:
            w.line("kv_row = (start + lane).to(tl.int64)")
        w.line(f"key = {self._load('key', mask)}")
        w.line(f"score = tl.dot(query, key.T{self.precision})")
        if sloped(self.rules) or (mask is not None and "kv" in names(mask)):
            w.line("kv = start + tl.arange(0, BLOCK_N)[None, :]")
        for line in rule_lines(self.rules):
            w.line(line)
        if mask is not None:
            self._mask(w, mask)
        w.line(f"weight, rescale, row_max, row_sum = softmax_step(score, {factor_text(self.rules)}, row_max, row_sum)")
        w.line(f"value = {self._load('value', mask)}")
        w.line(f"acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None]{self.precision})")

    def _load(self, tensor: str, mask: BoolExpr | None) -> str:
        """A tile of keys or values; a masked step can reach past the last key."""
        if self.descriptors:
            return f"{tensor}_tiles.load([start, 0])"
        checks = ["kv_row < kv_len"] * (mask is not None) + ["dim < HEAD_DIM"] * self.padded
        given = " & ".join(f"({check})" for check in checks) if len(checks) > 1 else "".join(checks)
        masked = f", mask={given}, other=0.0" if given else ""
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
