"""How many scores does the kernel of a candidate compute for each head, with the keys that it chooses there?"""

from __future__ import annotations

import numpy as np
import torch

from attncc import check, compiler, passes
from attncc.autotune.counts import counts
from attncc.calls import model_of
from attncc.giving import given
from attncc.models.assign.candidates import Candidate
from attncc.models.assign.exact import Floats, Layer


def work(layer: Layer, candidate: Candidate) -> Floats:
    """Scores of each query head of a layer with one text, tiles counted whole: [q_heads]."""
    operands, shape = check.arguments(layer.query, layer.key, layer.value)
    device, bound = model_of(layer.query.device), candidate.pattern.bound
    backend = compiler.backend_of(device)
    phase = backend.phase(shape, bound.grain())
    plan = passes.run(bound, backend.tiling(phase, compiler.built_in(bound, operands, phase, device)))
    with torch.inference_mode():
        lists = candidate.pattern.select(layer.query, layer.key, scale=layer.scale).lists
        held = given(bound, lists, {}, shape.q_len, shape.kv_len) if candidate.pattern.choosing else None
    keys = counts(plan, shape, held).keys[0].sum(1, dtype=np.float64) * plan.tiling.block_m
    return np.broadcast_to(keys, (shape.q_heads,))
