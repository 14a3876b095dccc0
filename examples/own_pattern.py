"""A pattern of one's own, from nothing to a model: declared, looked at, checked, tuned, trained, put into a model.

Run it with `python examples/own_pattern.py`. It takes less than a minute on a CPU.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import attncc
import attncc.models

FILE = Path(__file__).with_name("own_pattern.yaml")
LENGTH, HEADS, KV_HEADS, HEAD_DIM = 256, 4, 2, 32


def look(pattern: attncc.Pattern) -> None:
    """What the mask keeps of a short text."""
    query, key = torch.zeros(1, 1, 12, HEAD_DIM), torch.zeros(1, 1, 12, HEAD_DIM)
    small = attncc.Pattern.load(FILE, sink=1, near=3, step=4)
    for row in small.mask(query, key)[0, 0]:
        print("  ", "".join("█" if seen else "·" for seen in row))
    print(f"{pattern}")


def check(pattern: attncc.Pattern) -> None:
    """The kernel against the definition: the whole mask, in float64. Twice the error of plain attention is allowed."""
    query = torch.randn(1, HEADS, LENGTH, HEAD_DIM)
    key, value = (torch.randn(1, KV_HEADS, LENGTH, HEAD_DIM) for _ in range(2))
    exact = attncc.reference(query.double(), key.double(), value.double(), pattern)
    masked = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=pattern.mask(query, key), enable_gqa=True
    )
    ours, plain = (
        float((found - exact).abs().max()) for found in (attncc.attention(query, key, value, pattern), masked)
    )
    print(f"largest error {ours:.1e}; PyTorch with a mask {plain:.1e}")
    assert ours <= 2 * plain, "the kernel computes something else"


def tune(pattern: attncc.Pattern) -> None:
    """A few seconds of tuning for calls of this kind; the next call finds what won in the library."""
    shape = (1, HEADS, KV_HEADS, LENGTH, LENGTH, HEAD_DIM)
    found = attncc.tune(pattern, shape=shape, dtype=torch.float32, device="cpu", budget=4)
    print(f"tuned: {found.entry.schedule}")


def serve(pattern: attncc.Pattern) -> None:
    """A Transformers model whose layers see what the pattern keeps: it is trained a little, and writes."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=HEADS * HEAD_DIM,
        intermediate_size=2 * HEADS * HEAD_DIM,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
    )
    model = attncc.models.apply(LlamaForCausalLM(config), pattern)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    text = (torch.arange(LENGTH) % 13)[None]
    losses = []
    for _ in range(10):
        loss = model(input_ids=text, labels=text).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}")
    assert losses[-1] < losses[0] - 1, "a text that repeats is easily learnt"
    written = model.eval().generate(text[:, :100], max_new_tokens=6, do_sample=False)
    print(f"after ... {text[0, 97:100].tolist()} it writes {written[0, 100:].tolist()}")


def main() -> None:
    pattern = attncc.Pattern.load(FILE)
    look(pattern)
    check(pattern)
    tune(pattern)
    serve(pattern)


if __name__ == "__main__":
    main()
