"""What the tests of kernels over lists share: patterns with sets and inputs, what a call is given, the dense result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from attncc.autotune.inputs import Inputs, random_inputs
from attncc.autotune.verify import FACTOR, Agreement, Oracle, half_unit, verify
from attncc.codegen import triton
from attncc.codegen.kernel import CompiledKernel, KernelSource, Phase
from attncc.combines.rule import Option, rules
from attncc.ir.expr import (
    And,
    Attribute,
    Bool,
    BoolExpr,
    Compare,
    FloorDiv,
    Int,
    IntExpr,
    Member,
    Mul,
    Not,
    Or,
    Sub,
    Var,
)
from attncc.ir.pattern import SOFTMAX, Combine, Pattern
from attncc.ir.schedule import DType, Operands, Schedule, Shape
from attncc.ir.selection import Always, Geometry, Heads, Input, Selection, Top
from attncc.ir.tile import List, TilePlan
from attncc.lists import Given, RowLists, packed, rows_of
from attncc.passes import run
from attncc.ref.evaluate import Ints, number

Q, KV = Var("q"), Var("kv")
CAUSAL = Compare("<=", KV, Q)
COLUMN = Member("columns", None, KV)
COLUMNS = {"columns": Geometry(1, None, None)}
SAME = Compare("==", Attribute("doc", "q"), Attribute("doc", "kv"))

Relations = {
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
    ">=": np.greater_equal,
    ">": np.greater,
}


def selected(
    mask: BoolExpr,
    sets: Mapping[str, Geometry],
    inputs: Mapping[str, Literal["token", "head"]] | None = None,
    heads: Heads = "each",
    combine: Combine = SOFTMAX,
) -> Pattern:
    """A pattern whose sets are chosen, by scores that are never asked."""
    chosen = tuple(Selection(name, one, "none", (), Top(4), Always(), heads, True, 1) for name, one in sets.items())
    given = tuple(Input(name, per, "") for name, per in (inputs or {}).items())
    return Pattern("sample", "A sample.", "tests", (), mask, (), combine, given, chosen)


def diagonal(step: int) -> BoolExpr:
    return Member("diagonals", None, Sub(Mul(FloorDiv(Q, Int(step)), Int(step)), KV))


def block(rows: int, size: int) -> BoolExpr:
    return Member("blocks", Q if rows == 1 else FloorDiv(Q, Int(rows)), FloorDiv(KV, Int(size)))


def blocks(rows: int, size: int) -> dict[str, Geometry]:
    return {"blocks": Geometry(size, rows, None)}


def vertical_slash(step: int) -> Pattern:
    sets = {**COLUMNS, "diagonals": Geometry(1, None, step)}
    return selected(And(CAUSAL, Or(COLUMN, diagonal(step))), sets)


def grid(rows: int, size: int) -> Pattern:
    """Blocks of keys, chosen for blocks of queries."""
    return selected(And(CAUSAL, block(rows, size)), blocks(rows, size))


def retrieved(size: int, heads: Heads = "each", combine: Combine = SOFTMAX) -> Pattern:
    """The own block, and those that each query chooses."""
    own = Compare("==", FloorDiv(KV, Int(size)), FloorDiv(Q, Int(size)))
    return selected(And(CAUSAL, Or(own, block(1, size))), blocks(1, size), heads=heads, combine=combine)


def made(of: Pattern, operands: Operands, chosen: Schedule) -> tuple[TilePlan, KernelSource]:
    """The plan and the kernel of a pattern."""
    phase: Phase = "decode" if chosen.number("BLOCK_M") == 1 else "prefill"
    plan = run(of, triton.tiling(phase, chosen))
    return plan, triton.emit(plan, operands, phase, chosen)


@dataclass(frozen=True, slots=True)
class Draw:
    """One call: random tensors, and random sets and inputs, of so many heads and batches, for a pattern."""

    pattern: Pattern
    shape: Shape
    dtype: DType = "float32"
    heads: int = 1
    batches: int = 1
    density: float = 0.3
    seed: int = 0

    @property
    def inputs(self) -> Inputs:
        return random_inputs(self.shape, self.dtype, "cpu")

    def chosen(self, name: str) -> Tensor:
        """bool [batches, heads, rows, units]; some rows are empty, some full. Distances count from -step + 1."""
        geometry, shape = self.pattern.geometry()[name], self.shape
        rows = len(rows_of(shape.q_len, shape.kv_len, geometry.rows))
        units = shape.kv_len + geometry.step if geometry.step is not None else -(-shape.kv_len // geometry.size)
        generator = torch.Generator().manual_seed(self.seed + len(name))
        chosen = torch.rand(self.batches, self.heads, rows, units, generator=generator) < self.density
        if rows > 2:
            chosen[:, :, 1], chosen[:, :, 2] = False, True
        return chosen

    def tokens(self, name: str) -> Tensor:
        """int32 [batches, heads, kv_len]: ascending, as documents are."""
        generator = torch.Generator().manual_seed(self.seed + len(name))
        ends = torch.rand(self.batches, self.heads, self.shape.kv_len, generator=generator) < 0.05
        return ends.cumsum(-1).to(torch.int32)

    def by_head(self) -> Tensor:
        return torch.linspace(-2.0, 2.0, self.shape.q_heads)

    def given(self, lists: Sequence[List]) -> Given:
        """What the kernel gets, for the lists of its plan."""
        named = {one.name: one.per for one in self.pattern.inputs}
        return Given(
            {one.name: self._lists(one.name) if one.condition is None else self._touched(one) for one in lists},
            {name: self.tokens(name) for name, per in named.items() if per == "token"},
            {name: self.by_head() for name, per in named.items() if per == "head"},
        )

    def _lists(self, name: str) -> RowLists:
        step, found = self.pattern.geometry()[name].step, self.chosen(name)
        if step is None:
            return packed(found)
        # Place 0 is the distance 1 - step, the last one kv_len; an entry is a distance with its sign changed.
        lists = packed(found.flip(-1))
        return replace(lists, entries=lists.entries - self.shape.kv_len)

    def _touched(self, wanted: List) -> RowLists:
        """The units that hold a key for which the condition of the list is true, in a row of queries."""
        assert wanted.condition is not None, "the list has a condition"
        shape, geometry = self.shape, wanted.geometry
        first = shape.kv_len - shape.q_len
        rows = rows_of(shape.q_len, shape.kv_len, geometry.rows)
        held = self.keep(wanted.condition)
        chosen = torch.zeros(shape.batch, shape.q_heads, len(rows), -(-shape.kv_len // geometry.size), dtype=torch.bool)
        for batch, head, row, key in held.nonzero().tolist():
            block = 0 if geometry.rows is None else (first + row) // geometry.rows - rows[0]
            chosen[batch, head, block, key // geometry.size] = True
        return packed(chosen)

    def keep(self, mask: BoolExpr) -> Tensor:
        """bool [batch, q_heads, q_len, kv_len]: for which pairs the mask is true."""
        shape = self.shape
        q = np.arange(shape.kv_len - shape.q_len, shape.kv_len)[:, None]
        kv = np.arange(shape.kv_len)[None, :]
        found = self._truth(mask, q, kv)
        return torch.from_numpy(np.broadcast_to(found, (shape.batch, shape.q_heads, shape.q_len, shape.kv_len)).copy())

    def _truth(self, expr: BoolExpr, q: Ints, kv: Ints) -> np.ndarray:
        match expr:
            case Bool(value):
                return np.asarray(value)
            case Compare(relation, left, right):
                return np.asarray(Relations[relation](self._number(left, q, kv), self._number(right, q, kv)))
            case Member(name):
                return self._member(name, q, kv)
            case And(left, right):
                return self._truth(left, q, kv) & self._truth(right, q, kv)
            case Or(left, right):
                return self._truth(left, q, kv) | self._truth(right, q, kv)
            case Not(operand):
                return ~self._truth(operand, q, kv)

    def _number(self, expr: IntExpr, q: Ints, kv: Ints) -> Ints:
        if isinstance(expr, Attribute):
            at = np.maximum(q if expr.position == "q" else kv, 0)
            return self._by_q_head(self.tokens(expr.name).numpy())[:, :, at]
        head = np.arange(self.shape.q_heads)[:, None, None]
        return number(
            expr, {"q": q, "kv": kv, "head": head, **{name: np.asarray(value) for name, value in self.pattern.params}}
        )

    def _member(self, name: str, q: Ints, kv: Ints) -> np.ndarray:
        geometry, chosen = self.pattern.geometry()[name], self._by_q_head(self.chosen(name).numpy())
        if geometry.step is not None:
            # Place 0 is the distance 1 - step.
            place = q // geometry.step * geometry.step - kv + geometry.step - 1
            held = (place >= 0) & (place < chosen.shape[-1])
            return chosen[:, :, 0][:, :, np.where(held, place, 0)] & held
        row = 0 * q if geometry.rows is None else q // geometry.rows - int(q[0, 0]) // geometry.rows
        return chosen[:, :, row, kv // geometry.size]

    def _by_q_head(self, found: np.ndarray) -> np.ndarray:
        """[batch, q_heads, ...] from [batch or 1, heads, ...]."""
        shape = self.shape
        heads = np.arange(shape.q_heads) * found.shape[1] // shape.q_heads
        return np.broadcast_to(found, (shape.batch, *found.shape[1:]))[:, heads]

    def oracle(self) -> Oracle:
        """The dense result in float64, and what a kernel may err: twice what plain attention in its dtype does."""
        inputs = self.inputs
        out, lse = self._attention(inputs, torch.float64)
        plain, _ = self._attention(inputs, inputs.query.dtype)
        _, plain_lse = self._attention(inputs, torch.float32)
        rounding = 3 * half_unit(torch.float32)
        allowed = FACTOR * max(_far(plain, out), half_unit(plain.dtype) * _size(out)) + rounding * _size(out)
        lse_allowed = FACTOR * _far(plain_lse, lse) + rounding * max(_size(lse), 1.0) + half_unit(plain.dtype)
        return Oracle(torch.arange(self.shape.q_len), out, lse, allowed, lse_allowed)

    def _attention(self, inputs: Inputs, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        shape = self.shape
        key, value = (one.to(dtype).repeat_interleave(shape.group, dim=1) for one in (inputs.key, inputs.value))
        score = (inputs.query.to(dtype) @ key.mT * inputs.scale).masked_fill(~self.keep(self.pattern.mask), -torch.inf)
        options: dict[str, Option] = {
            name: value if isinstance(value, int) else self.by_head() for name, value in self.pattern.combine.options
        }
        q, kv = torch.arange(shape.kv_len - shape.q_len, shape.kv_len), torch.arange(shape.kv_len)
        weight, lse = rules()[self.pattern.combine.rule].weights(score, q, kv, options)
        return weight.to(dtype) @ value, lse


def agreement(kernel: CompiledKernel, plan: TilePlan, draw: Draw) -> Agreement:
    """How far the kernel of a plan is from the dense result."""
    given = draw.given(plan.lists)

    def call(query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        return kernel(query, key, value, scale, given)

    return verify(call, draw.inputs, draw.oracle())


def _far(actual: Tensor, exact: Tensor) -> float:
    difference = (actual.double() - exact).abs()
    return float(difference.masked_fill(actual.double() == exact, 0.0).max())


def _size(exact: Tensor) -> float:
    return float(exact.masked_fill(exact.isinf(), 0.0).abs().max())
