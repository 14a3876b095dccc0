"""What do the sets and inputs of a call answer, where a mask asks them?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attncc.combines.rule import Option
from attncc.ir.expr import Attribute, BoolExpr, IntExpr, Member, parts
from attncc.ir.pattern import Combine
from attncc.ir.selection import Geometry
from attncc.ir.text import text
from attncc.lists import Given, RowLists, rows_of, table
from attncc.ref.tensors import evaluate


@dataclass(frozen=True, slots=True)
class Asked:
    """The sizes of a call, and where its heads and batches lie in the shape that expressions are evaluated in.

    `head` and `batch` are int64 tensors that broadcast against the positions in `values`.
    """

    q_heads: int
    q_len: int
    kv_len: int
    head: Tensor
    batch: Tensor


def answers(
    mask: BoolExpr, geometry: Mapping[str, Geometry], given: Given, asked: Asked, values: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The value of every membership and every number of an input in `mask`, under its own text: tensors that
    broadcast to the shape of all `values`, which hold positions, sizes and parameters."""
    found: dict[str, Tensor] = {}
    for part in parts(mask):
        match part:
            case Member(name, row, unit) if text(part) not in found:
                found[text(part)] = _member(given.lists[name], geometry[name], row, unit, asked, values)
            case Attribute(name, position):
                found[text(part)] = _number(given.tokens[name], values[position], asked)
            case _:
                pass
    return found


def options(combine: Combine, given: Given) -> dict[str, Option]:
    """The options of a rule of combination, with the tensors of inputs in place of their names."""
    return {name: given.heads[value] if isinstance(value, str) else value for name, value in combine.options}


def _member(
    lists: RowLists, shape: Geometry, row: IntExpr | None, unit: IntExpr, asked: Asked, values: Mapping[str, Tensor]
) -> Tensor:
    rows = rows_of(asked.q_len, asked.kv_len, shape.rows)
    # Lists of distances hold them with their sign changed.
    wanted = evaluate(unit, values) * (1 if shape.step is None else -1)
    least, most = int(wanted.min()), int(wanted.max())
    there = table(lists, least, most + 1).to(wanted.device)
    batch, head = _owners(there, asked)
    number = torch.zeros((), dtype=torch.int64) if row is None else evaluate(row, values) - rows.start
    return there[batch, head, number.to(wanted.device), wanted - least]


def _number(tokens: Tensor, position: Tensor, asked: Asked) -> Tensor:
    batch, head = _owners(tokens, asked)
    return tokens[batch, head, position.clamp(min=0)].to(torch.int64)


def _owners(of: Tensor, asked: Asked) -> tuple[Tensor, Tensor]:
    batches, heads = of.shape[:2]
    batch = asked.batch if batches > 1 else torch.zeros_like(asked.batch)
    return batch.to(of.device), (asked.head * heads // asked.q_heads).to(of.device)
