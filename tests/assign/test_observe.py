"""Does a model compute what it always does while it is observed, and are all of its layers seen?"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import torch
from transformers import (
    Gemma2Config,
    GptOssConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)
from transformers.models.auto import AutoModelForCausalLM

from attncc.models.assign.exact import Layer
from attncc.models.assign.observe import Reader, observe

SMALL: dict[str, object] = {
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
}
CONFIGS: dict[str, Callable[[], PreTrainedConfig]] = {
    "llama": lambda: LlamaConfig(**SMALL),
    "mistral": lambda: MistralConfig(**SMALL, sliding_window=7),
    "qwen": lambda: Qwen3Config(**SMALL, use_sliding_window=True, sliding_window=7, max_window_layers=1),
    "gemma": lambda: Gemma2Config(**SMALL, sliding_window=7, attn_logit_softcapping=1.0, query_pre_attn_scalar=16),
    "gpt_oss": lambda: GptOssConfig(**SMALL, sliding_window=7, num_local_experts=2, num_experts_per_tok=1),
}
#: Which layers no pattern may replace.
SPECIAL = {
    "llama": [False, False],
    "mistral": [True, True],
    "qwen": [False, True],
    "gemma": [True, True],
    "gpt_oss": [True, True],
}


@pytest.mark.parametrize("family", CONFIGS)
def test_logits_stay_and_layers_are_seen(family: str) -> None:
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(CONFIGS[family](), attn_implementation="eager").eval()
    tokens = torch.randint(64, (1, 33))
    seen: list[tuple[int, Layer]] = []
    kept: list[torch.Tensor] = []
    with torch.inference_mode():
        before = model(input_ids=tokens, use_cache=False).logits
        handle = model.register_forward_hook(lambda _module, _args, out: kept.append(out.logits))
        observe(cast(Reader, model), tokens, lambda number, layer: seen.append((number, layer)))
        handle.remove()
        after = model(input_ids=tokens, use_cache=False).logits
    torch.testing.assert_close(kept[0], before, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert [number for number, _ in seen] == [0, 1]
    assert [bool(layer.special()) for _, layer in seen] == SPECIAL[family]
    assert all(layer.query.shape == (1, 4, 33, 16) and layer.key.shape == (1, 2, 33, 16) for _, layer in seen)


def test_a_window_that_the_text_does_not_reach_is_none() -> None:
    model = AutoModelForCausalLM.from_config(MistralConfig(**SMALL, sliding_window=100)).eval()
    seen: list[Layer] = []
    observe(cast(Reader, model), torch.zeros(1, 33, dtype=torch.int64), lambda _, layer: seen.append(layer))
    assert not any(layer.special() for layer in seen)


def test_the_implementation_is_set_back_when_reading_fails() -> None:
    model = AutoModelForCausalLM.from_config(LlamaConfig(**SMALL), attn_implementation="sdpa").eval()

    def fail(number: int, layer: Layer) -> None:
        raise KeyError(number)

    with pytest.raises(KeyError):
        observe(cast(Reader, model), torch.zeros(1, 8, dtype=torch.int64), fail)
    assert model.config._attn_implementation == "sdpa"
