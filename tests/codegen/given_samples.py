"""Patterns with sets and inputs, random lists for them, and what they compute by definition: dense, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

import torch
from torch import Tensor

from attncc.combines.rule import Option, rules
from attncc.ir.alibi import slopes
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
from attncc.ir.pattern import SOFTMAX, Alibi, Combine, Pattern, Scale, ScoreRule, Softcap
from attncc.ir.schedule import Shape
from attncc.ir.selection import Geometry, Input
from attncc.ir.tile import Tiling
from attncc.lists import Given, packed, rows_of
from attncc.passes import run

Q, KV = Var("q"), Var("kv")
CAUSAL = Compare("<=", KV, Q)


def block_of(position: Var, size: int) -> IntExpr:
    return position if size == 1 else FloorDiv(position, Int(size))


def columns(name: str = "columns") -> Member:
    return Member(name, None, KV)


def diagonals(step: int, name: str = "diagonals") -> Member:
    return Member(name, None, Sub(Mul(FloorDiv(Q, Int(step)), Int(step)), KV))


def blocks(rows: int, size: int, name: str = "blocks") -> Member:
    return Member(name, block_of(Q, rows), block_of(KV, size))


def within(window: int) -> Compare:
    return Compare("<", Sub(Q, KV), Int(window))


def same(name: str = "doc") -> Compare:
    return Compare("==", Attribute(name, "q"), Attribute(name, "kv"))


def pattern(
    mask: BoolExpr,
    sets: Mapping[str, Geometry] | None = None,
    tokens: tuple[str, ...] = (),
    score: tuple[ScoreRule, ...] = (),
    combine: Combine = SOFTMAX,
) -> Pattern:
    """A pattern whose sets are given as tables."""
    inputs = (
        *(Input(name, "block", "", geometry) for name, geometry in (sets or {}).items()),
        *(Input(name, "token", "") for name in tokens),
        *(Input(str(value), "head", "") for _, value in combine.options if isinstance(value, str)),
    )
    return Pattern("sample", "A sample", "nowhere", (), mask, score, combine, inputs)


@dataclass(frozen=True, slots=True)
class World:
    """What one call is given: truth values of units [batch or 1, heads, rows, units]; numbers of positions, heads."""

    pattern: Pattern
    shape: Shape
    chosen: Mapping[str, Tensor]
    tokens: Mapping[str, Tensor]
    heads: Mapping[str, Tensor] = field(default_factory=dict)

    def given(self) -> Given:
        """The same as lists. Those of distances are turned round, so that keys ascend."""
        lists = {}
        for name, chosen in self.chosen.items():
            if self.pattern.geometry()[name].step is None:
                lists[name] = packed(chosen)
            else:
                found = packed(chosen.flip(-1))
                lists[name] = replace(found, entries=found.entries - (chosen.shape[-1] - 1))
        for one in run(self.pattern, Tiling(1, 1)).lists:
            if one.condition is not None:
                lists[one.name] = packed(_touched(one.condition, one.geometry, self))
        return Given(lists, self.tokens, self.heads)


def world(pattern: Pattern, shape: Shape, share: float = 0.3, batches: int = 1, heads: int = 1, seed: int = 0) -> World:
    """Random sets that hold `share` of all units, some rows of them nothing; random numbers of few values."""
    random = torch.Generator().manual_seed(seed)
    chosen = {}
    for name, geometry in pattern.geometry().items():
        rows = len(rows_of(shape.q_len, shape.kv_len, geometry.rows))
        units = -(-shape.kv_len // geometry.size)
        some = torch.rand(batches, heads, rows, units, generator=random) < share
        chosen[name] = some & (torch.rand(batches, heads, rows, 1, generator=random) < 0.9)
    tokens = {
        one.name: torch.randint(0, 3, (batches, heads, shape.kv_len), generator=random, dtype=torch.int32)
        for one in pattern.inputs
        if one.per == "token"
    }
    logits = {one.name: torch.randn(shape.q_heads, generator=random) for one in pattern.inputs if one.per == "head"}
    return World(pattern, shape, chosen, tokens, logits)


def _touched(condition: BoolExpr, geometry: Geometry, world: World) -> Tensor:
    """Which units of keys hold a key for which a condition on inputs is true in a row of queries."""
    at = _positions(world)
    pairs = _truth(condition, world).expand(-1, -1, world.shape.q_len, -1)
    assert geometry.rows is not None, "such lists have rows"
    rows = rows_of(world.shape.q_len, world.shape.kv_len, geometry.rows)
    row, unit = at["q"][:, 0] // geometry.rows - rows[0], at["kv"] // geometry.size
    by_row = torch.zeros(*pairs.shape[:2], len(rows), pairs.shape[3], dtype=torch.int32)
    by_row.index_add_(2, row, pairs.to(torch.int32))
    units = torch.zeros(*by_row.shape[:3], int(unit[-1]) + 1, dtype=torch.int32)
    return units.index_add_(3, unit, by_row) > 0


def kept(world: World) -> Tensor:
    """Which pairs the mask keeps: bool [batch, q_heads, q_len, kv_len]."""
    shape = world.shape
    found = _truth(world.pattern.mask, world)
    return found.expand(shape.batch, shape.q_heads, shape.q_len, shape.kv_len)


def _positions(world: World) -> Mapping[str, Tensor]:
    q = torch.arange(world.shape.kv_len - world.shape.q_len, world.shape.kv_len)[:, None]
    return {"q": q, "kv": torch.arange(world.shape.kv_len)}


def _truth(expr: BoolExpr, world: World) -> Tensor:
    match expr:
        case Bool(value):
            return torch.tensor(value)
        case Compare(relation, left, right):
            one, other = _number(left, world), _number(right, world)
            ways = {"<": one < other, "<=": one <= other, "==": one == other, "!=": one != other, ">": one > other}
            return ways.get(relation, one >= other)
        case Member(name):
            return _held(name, world)
        case And(left, right):
            return _truth(left, world) & _truth(right, world)
        case Or(left, right):
            return _truth(left, world) | _truth(right, world)
        case Not(operand):
            return ~_truth(operand, world)
        case _:
            assert_never(expr)


def _number(expr: IntExpr, world: World) -> Tensor:
    match expr:
        case Int(value):
            return torch.tensor(value)
        case Var("q" | "kv" as name):
            return _positions(world)[name]
        case Var("head"):
            return torch.arange(world.shape.q_heads)[:, None, None]
        case Sub(left, right):
            return _number(left, world) - _number(right, world)
        case Mul(left, right):
            return _number(left, world) * _number(right, world)
        case FloorDiv(left, right):
            return _number(left, world) // _number(right, world)
        case Attribute(name, position):
            at = _positions(world)[position].flatten().clamp(min=0)
            numbers = _for_heads(world.tokens[name], world.shape)[..., at]
            return numbers[..., :, None] if position == "q" else numbers[..., None, :]
        case _:
            raise AssertionError(expr)


def _for_heads(one: Tensor, shape: Shape) -> Tensor:
    return one.repeat_interleave(shape.q_heads // one.shape[1], 1)


def _held(name: str, world: World) -> Tensor:
    """Membership of every pair in the set `name`."""
    geometry, shape = world.pattern.geometry()[name], world.shape
    chosen = _for_heads(world.chosen[name], shape)
    q, kv = _positions(world)["q"], _positions(world)["kv"]
    if geometry.step is not None:
        distance = q // geometry.step * geometry.step - kv
        inside = (distance >= 0) & (distance < chosen.shape[-1])
        return chosen[:, :, 0, distance.clamp(0, chosen.shape[-1] - 1)] & inside
    first = rows_of(shape.q_len, shape.kv_len, geometry.rows)[0]
    row = (q // geometry.rows - first) if geometry.rows is not None else torch.zeros_like(q)
    return chosen[:, :, row, kv // geometry.size]


def dense(
    world: World, query: Tensor, key: Tensor, value: Tensor, scale: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """(out, lse) by definition, all of it in `dtype`."""
    group = query.shape[1] // key.shape[1]
    keys, values = (one.to(dtype).repeat_interleave(group, 1) for one in (key, value))
    score = query.to(dtype) @ keys.mT * scale
    at = _positions(world)
    for rule in world.pattern.score:
        match rule:
            case Scale(factor):
                score = score * factor
            case Softcap(cap):
                score = cap * (score / cap).tanh()
            case Alibi():
                slope = torch.as_tensor(slopes(query.shape[1])).to(dtype)[:, None, None]
                score = score - slope * (at["q"] - at["kv"]).to(dtype)
    score = score.masked_fill(~kept(world), -torch.inf)
    combine = world.pattern.combine
    options: dict[str, Option] = {
        name: world.heads[value] if isinstance(value, str) else value for name, value in combine.options
    }
    weight, lse = rules()[combine.rule].weights(score, at["q"].flatten(), at["kv"], options)
    return weight.to(dtype) @ values, lse
