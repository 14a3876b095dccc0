"""FlexAttention as a peer: the same mask as a `mask_mod`, and its BlockMask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, assert_never, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from attncc.codegen.exprs import Language, Printer
from attncc.ir.alibi import slopes
from attncc.ir.expr import names
from attncc.ir.pattern import Alibi, Pattern, Scale, Softcap
from attncc.ir.schedule import Shape
from attncc.report.picture import classes

MaskMod: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
ScoreMod: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
BLOCK = 128

#: Operators of tensors: `&` and `|` bind tighter than comparisons, so these need the parentheses.
TORCH = Language(
    sums=5,
    products=6,
    unary=7,
    relations=dict.fromkeys(("<", "<=", "==", "!=", ">=", ">"), 1),
    conjunction=("&", 4),
    disjunction=("|", 2),
    negation=("~", 7),
    floor_div="(({0}) // ({1}))",
    floor_mod="(({0}) % ({1}))",
    absolute="abs({0})",
    minimum="minimum({0}, {1})",
    maximum="maximum({0}, {1})",
    select="where({0}, {1}, {2})",
    true="(kv == kv)",
    false="(kv != kv)",
)


def mask_mod(pattern: Pattern, shape: Shape) -> MaskMod:
    """The mask as the function a FlexAttention user would write, `q` counted from the sequence's start."""
    params = dict(pattern.params)
    sizes = {"q_len": shape.q_len, "kv_len": shape.kv_len}

    def spelling(name: str) -> str:
        return str({**params, **sizes}.get(name, name))

    return written(Printer(TORCH, spelling)(pattern.mask), shape.kv_len - shape.q_len, {})


def written(formula: str, offset: int, tensors: Mapping[str, Tensor]) -> MaskMod:
    """The function of a formula over batch, head, q, kv and the names of `tensors`; query 0 is at position `offset`."""
    source = f"def keep(batch, head, q_index, kv):\n    q = q_index + {offset}\n    return {formula}\n"
    scope: dict[str, object] = {"minimum": _minimum, "maximum": _maximum, "where": torch.where, **tensors}
    # The text is our own printer's output for a parsed expression, never a user's text.
    exec(source, scope)
    return cast(MaskMod, scope["keep"])


def score_mod(pattern: Pattern, shape: Shape, place: str = "cpu") -> ScoreMod | None:
    """The score rules as the function a FlexAttention user would write; None without rules."""
    slope = torch.tensor(slopes(shape.q_heads), device=place)
    offset = shape.kv_len - shape.q_len

    def change(score: Tensor, batch: Tensor, head: Tensor, q_index: Tensor, kv: Tensor) -> Tensor:
        for rule in pattern.score:
            match rule:
                case Scale(factor):
                    score = score * factor
                case Softcap(cap):
                    score = cap * torch.tanh(score / cap)
                case Alibi():
                    score = score - slope[head] * (q_index + offset - kv)
                case _:
                    assert_never(rule)
        return score

    return change if pattern.score else None


def _minimum(left: Tensor, right: Tensor) -> Tensor:
    return torch.where(left < right, left, right)


def _maximum(left: Tensor, right: Tensor) -> Tensor:
    return torch.where(left > right, left, right)


def block_mask(pattern: Pattern, shape: Shape, place: str = "cpu") -> BlockMask:
    """The BlockMask that `create_block_mask` gives, made from the tile plan: one for all heads where they agree."""
    heads = shape.q_heads if "head" in names(pattern.mask) else 1
    touched, full = _tiles(pattern, shape, heads, place)
    return BlockMask.from_kv_blocks(
        *listed(touched & ~full),
        *listed(full),
        BLOCK_SIZE=BLOCK,
        mask_mod=mask_mod(pattern, shape),
        seq_lengths=(shape.q_len, shape.kv_len),
    )


def _tiles(pattern: Pattern, shape: Shape, heads: int, place: str) -> tuple[Tensor, Tensor]:
    """Which tiles are touched, and which are full: bool [1, heads, rows, columns]."""
    found = [[row[1:] for row in classes(pattern, shape, head, BLOCK)] for head in range(heads)]
    touched, full = (np.array([[row[which] for row in rows] for rows in found]) for which in (0, 1))
    return torch.from_numpy(touched)[None].to(place), torch.from_numpy(full)[None].to(place)


def listed(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """How many key tiles each query tile has, and which, padded with 0, from bool [batch, heads, rows, columns]."""
    counts = chosen.sum(-1, dtype=torch.int32)
    indices = chosen.int().argsort(dim=-1, descending=True, stable=True).int()
    padding = torch.arange(chosen.shape[-1], device=chosen.device) >= counts[..., None]
    return counts, indices.masked_fill(padding, 0)


def bytes_of(mask: BlockMask) -> int:
    """The index tensors a BlockMask holds, in bytes."""
    tensors = (part for part in mask.as_tuple() if isinstance(part, Tensor))
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
