"""What lies in the keys of a call of Transformers, as its masks say it?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from attncc.models.sequences import PADDING, UNKNOWN, UNUSED

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

#: Whether a query sees a key: of batch, head, query and key, all of them indices that broadcast.
MaskFunction: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def tokens_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int | Tensor = 0,
    kv_offset: int = 0,
    mask_function: MaskFunction | None = None,
    attention_mask: Tensor | None = None,
    local_size: int | None = None,
    allow_is_causal_skip: bool = True,
    use_vmap: bool = False,
    device: torch.device | str = "cpu",
    config: PreTrainedConfig | None = None,
    **others: object,
) -> Tensor | None:
    """The mask that a model hands to each layer, for `attncc.models.adapter`, in the protocol of Transformers.

    None where each row of the batch is one sequence that ends with the last query. Else int32 [batch, 1, 1, kv_len],
    the tokens of `attncc.models.sequences`. What no tokens can say (images, masks of a user's own, windows to both
    sides) is given as PyTorch takes it: bool [batch, 1, q_len, kv_len], true where a query sees a key.
    """
    from transformers.masking_utils import sdpa_mask

    bidirectional = "allow_is_bidirectional_skip" in others
    chunked = local_size is not None and local_size != getattr(config, "sliding_window", None)
    plain = bidirectional or (allow_is_causal_skip and not chunked)
    valid = _valid(attention_mask, kv_length, kv_offset)
    tokens = torch.ones(batch_size, kv_length, dtype=torch.int32, device=device)
    strange = use_vmap or mask_function is None or (bidirectional and local_size is not None)
    if not (strange or plain or mask_function is None):
        tokens = numbered(mask_function, batch_size, kv_length, kv_offset, torch.device(device))
        strange = not torch.compiler.is_compiling() and bool((tokens == UNKNOWN).any())
    if strange:
        sizes = batch_size, q_length, kv_length, q_offset, kv_offset, mask_function, attention_mask
        return sdpa_mask(*sizes, allow_is_causal_skip=False, use_vmap=use_vmap, device=device)
    stop = q_offset + q_length - kv_offset
    ends_here = bidirectional or (not isinstance(stop, Tensor) and stop == kv_length)
    if plain and ends_here and _nothing_left_out(valid):
        return None
    if valid is not None:
        tokens = tokens.masked_fill(~valid, PADDING)
    if not ends_here:
        tokens = tokens.masked_fill(torch.arange(kv_length, device=device) >= stop, UNUSED)
    # The operator that serves it reads it on the host: better here, once, than in every layer.
    return tokens.to("cpu")[:, None, None]


def numbered(see: MaskFunction, batch_size: int, kv_length: int, kv_offset: int, device: torch.device) -> Tensor:
    """int32 [batch, kv_len]: the sequence that each token belongs to, counted from 1. A token that does not see the one
    before it begins another; UNKNOWN where it is seen by the one before it, which no order of sequences explains."""
    batch, head = torch.arange(batch_size, device=device)[:, None], torch.zeros(1, 1, dtype=torch.int64, device=device)
    token = (torch.arange(kv_length, device=device) + kv_offset)[None]
    before = (token - 1).clamp(min=0)
    begins = ~see(batch, head, token, before).expand(batch_size, kv_length)
    number = begins.index_fill(1, torch.zeros(1, dtype=torch.int64, device=device), True).cumsum(1, dtype=torch.int32)
    ahead = see(batch, head, before, token).expand(batch_size, kv_length) & (token > before)
    return number.masked_fill(ahead, UNKNOWN)


def _valid(mask: Tensor | None, kv_length: int, kv_offset: int) -> Tensor | None:
    """The part of a padding mask that belongs to the keys; what it does not reach is not valid."""
    if mask is None:
        return None
    short = kv_length + kv_offset - mask.shape[1]
    whole = torch.nn.functional.pad(mask, (0, short)) if short > 0 else mask
    return whole[:, kv_offset : kv_offset + kv_length].to(torch.bool)


def _nothing_left_out(valid: Tensor | None) -> bool:
    """False while a model is traced, when values are not there to be read."""
    return valid is None or (not torch.compiler.is_compiling() and bool(valid.all()))
