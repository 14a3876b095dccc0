"""Which heads of a model tolerate a window? Found for a GPU that need not be here, written into a plan, and served.

Run it with `python examples/find_plan.py`. It takes less than a minute on a CPU. For a model of your own, do the same
with `attncc assign FOLDER --data TEXT`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import attncc.models
from attncc import device
from attncc.models import plan_find, plan_text
from attncc.models.assign.candidates import written
from attncc.models.assign.run import Wanted, assign
from attncc.models.plan import ModelSizes

LAYERS, HEADS, KV_HEADS, HEAD_DIM, VOCABULARY, LENGTH = 2, 4, 2, 64, 128, 512
#: The KV head of each layer that only looks back a few tokens.
STREAMING = 1


def llama() -> LlamaForCausalLM:
    """A small Llama, one KV head of each layer made to stream: its queries and keys are the same for all tokens, so
    that rotary positions alone decide, and nearer keys win. The others look at tokens, wherever they are."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HEADS * HEAD_DIM,
        intermediate_size=2 * HEADS * HEAD_DIM,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=2 * LENGTH,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.model.embed_tokens.weight[:, 0] = 1.0
        for layer in model.model.layers:
            query = layer.self_attn.q_proj.weight.view(KV_HEADS, -1, HEAD_DIM, HEADS * HEAD_DIM)
            key = layer.self_attn.k_proj.weight.view(KV_HEADS, HEAD_DIM, HEADS * HEAD_DIM)
            query[STREAMING], key[STREAMING] = 0, 0
            query[STREAMING, :, : HEAD_DIM // 2, 0] = key[STREAMING, : HEAD_DIM // 2, 0] = 0.25
    return model


def main() -> None:
    model = llama()
    draws = torch.Generator().manual_seed(1)
    texts = [torch.randint(VOCABULARY, (1, LENGTH), generator=draws)]
    wanted = Wanted(
        budget=0.7,
        candidates=written(["a_shape:sink=16,window=64"]),
        length=65536,
        target=device.named("H100"),
    )
    plan, found = assign(model, ModelSizes(LAYERS, HEADS, KV_HEADS), texts, wanted, "found")
    print(plan_text.text(plan))
    for each in found:
        print(f"{each.phase}: attention {each.speedup():.2f} times as fast as dense with {each.costs.length:,} keys")
        print(f"({each.costs.kind} for {each.costs.where}); a layer's output changes by {each.changed():.2%}")
        heads = [head for row in each.choice for head, one in enumerate(row) if one]
        assert heads == [STREAMING] * LAYERS, "the streaming heads get the window, the others stay dense"

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.yaml"
        file.write_text(plan_text.text(plan), encoding="utf-8")
        attncc.models.apply(model, plan_find.find(file))
        written_on = model.generate(texts[0], max_new_tokens=4, do_sample=False)
    print(f"served by the plan, the text goes on with {written_on[0, LENGTH:].tolist()}")


if __name__ == "__main__":
    main()
