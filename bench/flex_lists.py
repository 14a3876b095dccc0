"""FlexAttention given what attncc chose: lists as tables that a `mask_mod` reads, and as the blocks they touch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from attncc.codegen.exprs import ATOM, Printer
from attncc.ir.expr import And, Attribute, BoolExpr, Expr, IntExpr, Member, Not, Or, Param, Var, parts
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Shape
from attncc.ir.selection import Geometry
from attncc.lists import Given, RowLists, rows_of, table
from attncc.selectors.intervals import Interval, Known, Truth, truth
from bench import flex

#: Edge of a block in tokens: the rows and keys of the lists that are measured divide it, or it divides them.
BLOCK = 64


@dataclass(frozen=True, slots=True)
class GivenPrinter(Printer):
    """`given` spells what is chosen or given at run time."""

    given: Callable[[Printer, Attribute | Member], str]

    def _print(self, expr: Expr) -> tuple[str, int]:
        if isinstance(expr, Attribute | Member):
            return self.given(self, expr), ATOM
        return Printer._print(self, expr)


def mask_mod(pattern: Pattern, shape: Shape, given: Given) -> flex.MaskMod:
    """The mask as the function a FlexAttention user would write for a batch of one, sets looked up in tables."""
    names = {**dict(pattern.params), "q_len": shape.q_len, "kv_len": shape.kv_len}
    geometry = pattern.geometry()
    tensors = {name: _lookup(lists, geometry[name], shape) for name, lists in given.lists.items() if name in geometry}
    tensors |= given.tokens

    def owner(name: str) -> str:
        return f"head * {tensors[name].shape[1]} // {shape.q_heads}"

    def asked(printer: Printer, node: Attribute | Member) -> str:
        match node:
            case Attribute(name, position):
                return f"{name}[0, {owner(name)}, {position}]"
            case Member(name, row, unit):
                first = rows_of(shape.q_len, shape.kv_len, geometry[name].rows).start
                number = "0" if row is None else f"{printer(row)} - {first}"
                place = printer(unit) if geometry[name].step is None else f"{shape.kv_len - 1} - ({printer(unit)})"
                return f"{name}[0, {owner(name)}, {number}, {place}]"

    formula = GivenPrinter(flex.TORCH, lambda name: str(names.get(name, name)), asked)(pattern.mask)
    return flex.written(formula, shape.kv_len - shape.q_len, tensors)


def _lookup(lists: RowLists, geometry: Geometry, shape: Shape) -> Tensor:
    """bool [batch, list heads, rows, units], or offsets from 1 - kv_len to kv_len - 1 in place of units."""
    if geometry.step is None:
        return table(lists, 0, -(-shape.kv_len // geometry.size))
    return table(lists, 1 - shape.kv_len, shape.kv_len)


def block_mask(pattern: Pattern, shape: Shape, given: Given, keep: flex.MaskMod, place: str = "cpu") -> BlockMask:
    """The blocks that the lists of a prompt or a single query touch, without asking `keep` about every pair; `given` is
    on the CPU."""
    assert shape.q_len in (1, shape.kv_len), "blocks of queries begin at the first key, or there is one"
    found = _truth(pattern.mask, _known(pattern, shape, given), _members(pattern, shape, given))
    rows, units = -(-shape.q_len // BLOCK), -(-shape.kv_len // BLOCK)
    may, must = (_per_head(part.expand(1, -1, rows, units), shape).to(place) for part in (found.may, found.must))
    return BlockMask.from_kv_blocks(
        *flex.listed(may & ~must),
        *flex.listed(must),
        BLOCK_SIZE=BLOCK,
        mask_mod=keep,
        seq_lengths=(shape.q_len, shape.kv_len),
        compute_q_blocks=False,
    )


def _per_head(blocks: Tensor, shape: Shape) -> Tensor:
    heads = blocks.shape[1]
    return blocks if heads == 1 else blocks.repeat_interleave(shape.q_heads // heads, 1)


def _truth(expr: BoolExpr, known: Known, members: Mapping[Member, Truth]) -> Truth:
    match expr:
        case Member():
            return members[expr]
        case And(left, right):
            a, b = _truth(left, known, members), _truth(right, known, members)
            return Truth(a.may & b.may, a.must & b.must)
        case Or(left, right):
            a, b = _truth(left, known, members), _truth(right, known, members)
            return Truth(a.may | b.may, a.must | b.must)
        case Not(operand):
            a = _truth(operand, known, members)
            return Truth(~a.must, ~a.may)
        case _:
            return truth(expr, known)


def _known(pattern: Pattern, shape: Shape, given: Given) -> Known:
    """Between what the positions and inputs of each block lie: [1, heads, rows or 1, units or 1]."""
    fixed: dict[IntExpr, int] = {Var("q_len"): shape.q_len, Var("kv_len"): shape.kv_len}
    fixed |= {Param(name): value for name, value in pattern.params}
    known = {one: Interval(torch.tensor(value), torch.tensor(value)) for one, value in fixed.items()}
    positions = torch.arange(shape.kv_len).view(1, 1, -1)
    known |= {Var("q"): _extremes(positions, "q", shape), Var("kv"): _extremes(positions, "kv", shape)}
    for one in parts(pattern.mask):
        if isinstance(one, Attribute):
            known[one] = _extremes(given.tokens[one.name].long(), one.position, shape)
    return Known(known, torch.device("cpu"))


def _extremes(numbers: Tensor, position: str, shape: Shape) -> Interval:
    """Of [1, heads, kv_len] numbers."""
    some = numbers[..., shape.kv_len - shape.q_len :] if position == "q" else numbers
    rest = some[..., -1:].expand(*some.shape[:-1], -some.shape[-1] % BLOCK)
    blocks = torch.cat([some, rest], -1).unflatten(-1, (-1, BLOCK))
    least, most = blocks.amin(-1), blocks.amax(-1)
    axis = -1 if position == "q" else -2
    return Interval(least.unsqueeze(axis), most.unsqueeze(axis))


def _members(pattern: Pattern, shape: Shape, given: Given) -> dict[Member, Truth]:
    asked = {one for one in parts(pattern.mask) if isinstance(one, Member)}
    return {one: _touched(given.lists[one.name], pattern.geometry()[one.name], shape) for one in asked}


def _touched(lists: RowLists, geometry: Geometry, shape: Shape) -> Truth:
    """Whether a block may hold a pair of the set, and whether it holds no others: [1, heads, rows or 1, units]."""
    units = -(-shape.kv_len // BLOCK)
    if geometry.step is None:
        there = table(lists, 0, -(-shape.kv_len // geometry.size))
        found = _regrouped(Truth(there, there), 3, geometry.size)
        return found if geometry.rows is None or shape.q_len == 1 else _regrouped(found, 2, geometry.rows)
    assert geometry.step == BLOCK, "each block of queries moves by a block of keys"
    assert shape.q_len == shape.kv_len, "blocks of queries begin at the first key"
    groups = table(lists, -units * BLOCK, BLOCK).unflatten(-1, (-1, BLOCK))
    distance = (torch.arange(units) - torch.arange(units)[:, None]).clamp(max=0) + units
    return Truth(groups.any(-1)[:, :, 0, distance], groups.all(-1)[:, :, 0, distance])


def _regrouped(found: Truth, dim: int, size: int) -> Truth:
    """The same for blocks of BLOCK tokens along `dim`, whose places hold `size` tokens each."""
    if size >= BLOCK:
        assert size % BLOCK == 0, "blocks do not straddle"
        return Truth(*(part.repeat_interleave(size // BLOCK, dim) for part in (found.may, found.must)))
    may, must = (part.unflatten(dim, (-1, BLOCK // size)) for part in (found.may, found.must))
    return Truth(may.any(dim + 1), must.all(dim + 1))
