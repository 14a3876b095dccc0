"""A long prompt through a model whose heads stream or retrieve, beside the same model with PyTorch's attention.

Run it with `python examples/long_prompt.py [tokens]`. With 4,096 tokens it takes about half a minute on a CPU.
"""

from __future__ import annotations

import sys
import time

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

import attncc.models

LAYERS, HEADS, KV_HEADS, HEAD_DIM, VOCABULARY = 4, 4, 2, 64, 1000

#: Half of the KV heads see everything, the others 64 sinks and 256 recent keys; shipped with attncc.
PLAN = "duo_attention"


def llama(length: int) -> LlamaForCausalLM:
    """A small Llama with random weights; any model of Transformers is served in the same way."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HEADS * HEAD_DIM,
        intermediate_size=2 * HEADS * HEAD_DIM,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=length + 64,
        initializer_range=0.06,
    )
    return LlamaForCausalLM(config).eval()


@torch.inference_mode()
def prefill(model: LlamaForCausalLM, prompt: Tensor) -> tuple[float, Tensor]:
    """(CPU seconds, logits behind the last token); behind a shorter run, in which kernels are compiled."""
    model(prompt[:, : prompt.shape[1] // 2 + 1], logits_to_keep=1)
    start = time.process_time()
    logits = model(prompt, logits_to_keep=1).logits
    return time.process_time() - start, logits


def main(length: int = 4096) -> None:
    model = llama(length)
    prompt = torch.randint(VOCABULARY, (1, length), generator=torch.Generator().manual_seed(1))
    seconds, logits = prefill(model, prompt)
    print(f"{length:,} tokens, PyTorch's attention: {seconds:.2f} s of CPU time")

    attncc.models.apply(model)
    dense_seconds, dense = prefill(model, prompt)
    print(f"attncc, every key: {dense_seconds:.2f} s, logits differ by {_change(dense, logits):.1e}")
    assert _change(dense, logits) < 1e-4, "dense attention is dense attention"

    attncc.models.apply(model, PLAN)
    plan_seconds, sparse = prefill(model, prompt)
    print(f"attncc, {PLAN}: {plan_seconds:.2f} s, logits differ by {_change(sparse, logits):.1e}")
    print(f"the whole model takes {plan_seconds / seconds:.2f} of the time")

    written = model.generate(prompt, max_new_tokens=4, do_sample=False)
    print(f"and it goes on with {written[0, length:].tolist()}")


def _change(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
