"""A training step on packed documents: none of them sees another one, and none is padded.

Run it with `python examples/train_documents.py`. It takes a few seconds on a CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import attncc
import attncc.nn

WIDTH, HEADS, KV_HEADS, VOCABULARY, LAYERS = 128, 4, 2, 96, 2
LENGTHS = (150, 37, 260, 65)


class Model(nn.Module):
    """A decoder without positions, so that a document means the same wherever it lies in a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(LAYERS))
        self.layers = nn.ModuleList(
            attncc.nn.SparseAttention(WIDTH, HEADS, kv_heads=KV_HEADS, pattern="documents") for _ in range(LAYERS)
        )
        self.out = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, tokens: Tensor, doc: Tensor) -> Tensor:
        """Logits [batch, len, vocabulary] for tokens [batch, len]; `doc` has the number of each token's document."""
        hidden = self.tokens(tokens)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            hidden = hidden + layer(norm(hidden), doc=doc)
        return self.out(hidden)


def losses(model: Model, tokens: Tensor, doc: Tensor) -> Tensor:
    """The loss of each token that has a next one in its document, summed."""
    logits = model(tokens, doc)[:, :-1]
    each = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return (each * (doc[:, 1:] == doc[:, :-1]).flatten()).sum()


def gradients(model: Model, loss: Tensor) -> Tensor:
    return torch.cat([grad.flatten() for grad in torch.autograd.grad(loss, list(model.parameters()))])


def main() -> None:
    torch.manual_seed(0)
    model = Model()
    documents = [torch.randint(VOCABULARY, (1, length)) for length in LENGTHS]
    packed = torch.cat(documents, 1)
    doc = torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS))[None]

    together = losses(model, packed, doc)
    one_by_one = torch.stack([losses(model, one, torch.zeros_like(one)) for one in documents]).sum()
    change = gradients(model, together) - gradients(model, one_by_one)
    size = gradients(model, losses(model, packed, doc)).norm()
    print(f"{len(LENGTHS)} documents, {packed.numel()} tokens: loss {together:.3f} packed, {one_by_one:.3f} one by one")
    print(f"gradients differ by {change.norm() / size:.1e}")
    assert change.norm() < 1e-4 * size, "a document saw another one"

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(4):
        loss = losses(model, packed, doc) / packed.numel()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step}: {loss:.4f}")


if __name__ == "__main__":
    main()
