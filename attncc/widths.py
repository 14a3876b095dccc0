"""Tensors as wide as there are kernels for."""

from __future__ import annotations

import torch
from torch import Tensor

from attncc.ir.schedule import HEAD_DIM_STEP, SMALLEST_HEAD_DIM


def widened(*tensors: Tensor) -> list[Tensor]:
    """[..., n] with zeros behind the last dimension, up to the next head_dim that kernels exist for, the same for all:
    scores stay, and a result has zeros there too. The numbers of a row lie side by side."""
    widest = max(SMALLEST_HEAD_DIM, *(tensor.shape[-1] for tensor in tensors))
    width = -(-widest // HEAD_DIM_STEP) * HEAD_DIM_STEP
    pad = torch.nn.functional.pad
    wide = (one if one.shape[-1] == width else pad(one, (0, width - one.shape[-1])) for one in tensors)
    return [one if one.stride(-1) == 1 else one.contiguous() for one in wide]
