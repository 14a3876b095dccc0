"""What does a layer of a model compute by itself? All keys, in float32, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats: TypeAlias = npt.NDArray[np.float64]

#: Scores held at once: 128 MiB of them.
MOST_SCORES = 1 << 25


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """What one attention layer is asked, and how it answers.

    query is [batch, q_heads, q_len, head_dim], key and value are [batch, kv_heads, kv_len, head_dim]; queries are the
    last positions. A query sees `window` keys (None: all before it), `softcap` bounds the scores, `sinks` [q_heads] are
    logits that take weight and give nothing.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    scale: float
    causal: bool = True
    window: int | None = None
    softcap: float | None = None
    sinks: Tensor | None = None

    def special(self) -> str:
        """Why no pattern may take the place of what the layer does, in words; "" if one may."""
        reasons = {
            "it is not causal": not self.causal,
            f"it has a window of {self.window} keys of its own": self.window is not None,
            "its scores are capped": self.softcap is not None,
            "it has sink logits": self.sinks is not None,
        }
        return " and ".join(reason for reason, given in reasons.items() if given)


def attention(layer: Layer) -> tuple[Tensor, Tensor]:
    """(out [batch, q_heads, q_len, head_dim], lse [batch, q_heads, q_len]), float32."""
    parts = [attention_rows(layer, rows) for rows in blocks(layer)]
    return torch.cat([out for out, _ in parts], 2), torch.cat([lse for _, lse in parts], 2)


def attention_rows(layer: Layer, rows: Tensor) -> tuple[Tensor, Tensor]:
    """`attention` for the query rows whose indices are `rows`."""
    score = scores(layer, rows)
    if layer.sinks is not None:
        sink = layer.sinks.float().view(1, -1, 1, 1).expand(*score.shape[:3], 1)
        score = torch.cat([score, sink], 3)
    lse = score.logsumexp(3)
    weight = (score - lse[..., None]).exp()[..., : layer.key.shape[2]]
    batch, kv_heads, kv_len, head_dim = layer.value.shape
    grouped = weight.reshape(batch, kv_heads, -1, kv_len) @ layer.value.float()
    return grouped.view(*score.shape[:3], head_dim), lse


def scores(layer: Layer, rows: Tensor) -> Tensor:
    """Scaled and capped scores of `rows` with every key, minus infinity where a query does not see it: float32
    [batch, q_heads, rows, kv_len]."""
    batch, kv_heads, kv_len, head_dim = layer.key.shape
    asked = layer.query[:, :, rows].float()
    grouped = asked.reshape(batch, kv_heads, -1, head_dim) @ layer.key.float().transpose(2, 3) * layer.scale
    score = grouped.view(*asked.shape[:3], kv_len)
    if layer.softcap is not None:
        score = layer.softcap * torch.tanh(score / layer.softcap)
    if not layer.causal:
        return score
    distance = (rows + kv_len - layer.query.shape[2])[:, None] - torch.arange(kv_len, device=rows.device)
    unseen = distance < 0 if layer.window is None else (distance < 0) | (distance >= layer.window)
    return score.masked_fill(unseen, -torch.inf)


def blocks(layer: Layer) -> Iterator[Tensor]:
    """The indices of all query rows, as many together as their scores may take room."""
    batch, q_heads, q_len, _ = layer.query.shape
    together = max(1, MOST_SCORES // (batch * q_heads * layer.key.shape[2]))
    for start in range(0, q_len, together):
        yield torch.arange(start, min(q_len, start + together), device=layer.query.device)
