"""What is attention under a mask that somebody made, by PyTorch's own operators?"""

from __future__ import annotations

import torch
from torch import Tensor


def attend_masked(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    scale: float,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """Attention under `mask`, [batch, q_len, q_heads, head_dim]; query, key and value as in `attend_layer`.

    `mask` is [batch, 1 or q_heads, q_len, kv_len or more]: bool, true where a query sees a key, or a number that is
    added to the score. Scores are capped before it, the sink's logit is one more score, as models with them say.
    """
    mask = mask[..., : key.shape[2]]
    if softcap is None and sinks is None:
        shared = query.shape[1] != key.shape[1]
        out = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=scale, enable_gqa=shared
        )
        return out.transpose(1, 2)
    group = query.shape[1] // key.shape[1]
    score = query.float() @ key.float().repeat_interleave(group, 1).transpose(2, 3) * scale
    if softcap is not None:
        score = softcap * torch.tanh(score / softcap)
    score = score.masked_fill(~mask, torch.finfo(score.dtype).min) if mask.dtype == torch.bool else score + mask
    if sinks is not None:
        logits = sinks.float().view(1, -1, 1, 1).expand(*score.shape[:3], 1)
        score = torch.cat([score, logits], dim=-1)
    weight = score.softmax(-1)[..., : key.shape[2]]
    return (weight @ value.float().repeat_interleave(group, 1)).to(query.dtype).transpose(1, 2)
