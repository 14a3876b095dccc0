"""Small models with random weights, of the kinds that attention has to serve, and what they are compared with."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from typing import cast

import torch
import transformers
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

import attncc.models

attncc.models.register()

VOCABULARY, WINDOW, PAD = 96, 12, 0
SIZES: Mapping[str, object] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "pad_token_id": PAD,
    "bos_token_id": 1,
    "eos_token_id": None,
    "attention_dropout": 0.0,
}
HYBRID = ["sliding_attention", "full_attention"]
#: What makes each kind of model special.
KINDS: Mapping[str, Mapping[str, object]] = {
    "Llama": {},
    "Qwen3": {"use_sliding_window": True, "sliding_window": WINDOW, "layer_types": HYBRID},
    "Mistral": {"sliding_window": WINDOW},
    "Gemma2": {
        "sliding_window": WINDOW,
        "layer_types": HYBRID,
        "attn_logit_softcapping": 2.0,
        "query_pre_attn_scalar": 16,
    },
    "Gemma3": {"sliding_window": WINDOW, "layer_types": HYBRID, "query_pre_attn_scalar": 16},
    "GptOss": {
        "sliding_window": WINDOW,
        "layer_types": HYBRID,
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
        "experts_implementation": "batched_mm",
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    },
}


@cache
def model(kind: str, dtype: torch.dtype = torch.float32, **changed: object) -> PreTrainedModel:
    """The model of this kind, the same each time, in evaluation, attending by `eager`."""
    if dtype != torch.float32:
        other = copy.deepcopy(model(kind, **changed)).to(dtype)
        return cast(PreTrainedModel, other)
    name = "Gemma3Text" if kind == "Gemma3" else kind
    config: PretrainedConfig = getattr(transformers, f"{name}Config")(**{**SIZES, **KINDS[kind], **changed})
    config._attn_implementation = "eager"
    torch.manual_seed(1)
    found: PreTrainedModel = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    # Weights as large as those of trained models: attention is not almost uniform.
    with torch.no_grad():
        for parameter_name, parameter in found.named_parameters():
            if parameter_name.endswith(("q_proj.weight", "k_proj.weight")):
                parameter.mul_(12)
            elif parameter_name.endswith("sinks"):
                parameter.normal_()
    return found


def prompt(batch: int = 2, length: int = 33) -> Tensor:
    """Token ids, the same each time."""
    return torch.randint(3, VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(2))


def padded(ids: Tensor, pads: list[int], side: str) -> tuple[Tensor, Tensor]:
    """(ids, attention_mask) with so many pads in each row, in place of tokens."""
    ids, mask = ids.clone(), torch.ones_like(ids)
    for row, count in enumerate(pads):
        place = slice(0, count) if side == "left" else slice(ids.shape[1] - count, None)
        ids[row, place], mask[row, place] = PAD, 0
    return ids, mask


@torch.no_grad()
def logits(of: PreTrainedModel, implementation: str, ids: Tensor, **given: object) -> Tensor:
    """The logits of all tokens, [batch, len, vocabulary]."""
    of.set_attn_implementation(implementation)
    return cast(Tensor, of(ids, **given).logits)


def distance(actual: Tensor, exact: Tensor) -> float:
    """The largest difference."""
    return float((actual.double() - exact.double()).abs().max())
