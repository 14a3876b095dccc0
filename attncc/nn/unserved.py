"""Why is a call of `scaled_dot_product_attention` not served by a kernel?"""

from __future__ import annotations

import torch
from torch import Tensor

from attncc import check
from attncc.ir.schedule import LARGEST_HEAD_DIM
from attncc.pattern import Pattern


def unserved(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    dropout_p: float,
    is_causal: bool,
    enable_gqa: bool,
    pattern: Pattern | None,
) -> str | None:
    """Why no kernel serves such a call, or None if one does. Calls that PyTorch refuses are left to it as well."""
    lead = query.shape[:-3]
    if not query.dim() == key.dim() == value.dim() >= 2 or not lead == key.shape[:-3] == value.shape[:-3]:
        return "the leading dimensions differ"
    if not query.dtype == key.dtype == value.dtype or query.dtype not in check.DTYPE_NAMES:
        return f"kernels exist for {', '.join(check.DTYPE_NAMES.values())}, of one type"
    if not query.device == key.device == value.device or query.device.type not in ("cpu", "cuda"):
        return "the tensors are not all on one CPU or GPU"
    heads = [tensor.shape[-3] if tensor.dim() > 2 else 1 for tensor in (query, key, value)]
    if heads[1] != heads[2] or (heads[0] % heads[1] if enable_gqa else heads[0] != heads[1]):
        return "the heads do not go together"
    if 0 in (*query.shape, *key.shape, *value.shape) or key.shape[-2] != value.shape[-2]:
        return "the tensors are empty or differ in length"
    if max(query.shape[-1], value.shape[-1]) > LARGEST_HEAD_DIM or query.shape[-1] != key.shape[-1]:
        return f"head_dim is above {LARGEST_HEAD_DIM}, or query and key differ in it"
    if dropout_p:
        return "kernels have no dropout"
    if pattern is not None and pattern.bound.inputs:
        return f"pattern '{pattern.name}' takes inputs"
    if pattern is not None and query.shape[-2] > key.shape[-2]:
        return "there are more queries than keys"
    return None if attn_mask is None else _unserved_mask(query, key, attn_mask, is_causal, pattern)


def _unserved_mask(
    query: Tensor, key: Tensor, attn_mask: Tensor, is_causal: bool, pattern: Pattern | None
) -> str | None:
    if attn_mask.dtype != torch.bool:
        return "the mask is added to scores"
    if is_causal or pattern is not None:
        return "there is a mask beside the causal one, or beside a pattern"
    shared = attn_mask.dim() >= 2 and attn_mask.shape[-2] == 1 and attn_mask.shape[-1] == key.shape[-2]
    batched = attn_mask.dim() == query.dim() == 4 and attn_mask.shape[0] in (1, query.shape[0])
    if not shared or attn_mask.dim() > 4 or (attn_mask.dim() > 2 and (attn_mask.shape[-3] != 1 or not batched)):
        return "the mask differs between queries or heads"
    return None
