"""What of models that are not plain decoders: encoders, odd sizes, chunks, autocast, missing packages?"""

from __future__ import annotations

import sys

import pytest
import torch
import transformers
from torch import Tensor, nn

import attncc
from attncc.errors import ExtraMissing, MaskNotServed, ModelNotServed
from attncc.models import adapter
from attncc.models.masks import numbered
from attncc.models.registering import register
from attncc.models.rows import attend_rows, known
from attncc.models.sequences import PADDING, UNKNOWN, UNUSED, parts
from tests.models.samples import distance, logits, model, padded, prompt
from tests.ops.samples import call, leaves

A_SHAPE = attncc.Pattern.load("a_shape", sink=2, window=5)


@pytest.mark.parametrize("padding", [False, True])
def test_encoders_see_both_sides(padding: bool) -> None:
    """Whatever the pattern: it is for causal layers."""
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    torch.manual_seed(0)
    one = transformers.BertModel(transformers.BertConfig(vocab_size=96, **sizes)).eval()
    ids, mask = padded(prompt(2, 21), [0, 5], "right")
    given, found = {"attention_mask": mask} if padding else {}, []
    for name in ("eager", "attncc", "attncc:a_shape"):
        one.set_attn_implementation(name)
        with torch.no_grad():
            found.append(one(ids, **given).last_hidden_state[mask.bool()])
    assert distance(found[1], found[0]) < 1e-5
    assert torch.equal(found[2], found[1])


def test_head_dims_between_those_of_kernels() -> None:
    one = model("Llama", head_dim=12)
    exact, plain = logits(model("Llama", torch.float64, head_dim=12), "eager", prompt()), logits(one, "eager", prompt())
    assert distance(logits(one, "attncc", prompt()), exact) <= 2 * distance(plain, exact) + 2e-6


def test_autocast() -> None:
    ids, mask = padded(prompt(), [3, 0], "left")
    exact, found = logits(model("Llama"), "eager", ids, attention_mask=mask)[mask.bool()], []
    with torch.autocast("cpu", torch.bfloat16):
        for name in ("sdpa", "attncc"):
            found.append(distance(logits(model("Llama"), name, ids, attention_mask=mask)[mask.bool()], exact))
    assert found[1] <= 2 * found[0]


def test_sequences_are_numbered_by_what_they_see() -> None:
    chunk, device = torch.tensor([[0, 0, 0, 1, 1, 2]]), torch.device("cpu")

    def chunked(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (chunk[batch, query] == chunk[batch, key])

    def image(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) | ((query >= 2) & (query < 4) & (key >= 2) & (key < 4))

    assert numbered(chunked, 1, 6, 0, device).tolist() == [[1, 1, 1, 2, 2, 3]]
    assert numbered(image, 1, 6, 0, device).tolist() == [[1, 1, 1, UNKNOWN, 1, 1]]


def test_parts_of_a_batch() -> None:
    tokens = torch.tensor([[PADDING, 1, 1, 1, 2, UNUSED], [1, 1, PADDING, 1, 1, UNUSED]], dtype=torch.int32)
    first, second, third = parts(tokens, 3)
    assert (first.batch, first.queries, first.keys) == (slice(0, 1), slice(0, 2), slice(1, 4))
    assert (second.queries, second.keys) == (slice(2, 3), slice(4, 5))
    assert (third.batch, third.queries) == (slice(1, 2), slice(1, 3))
    assert isinstance(third.keys, Tensor)
    assert third.keys.tolist() == [0, 1, 3, 4]
    alike = torch.ones(3, 6, dtype=torch.int32)
    assert [part.batch for part in parts(alike, 6)] == [slice(0, 3)]
    with pytest.raises(MaskNotServed, match="some tokens see later ones"):
        list(parts(torch.full((1, 3), UNKNOWN), 3))


def test_the_operator_of_rows() -> None:
    tokens = torch.tensor([[PADDING, 1, 1, 1, 2, 2, UNUSED], [1, 1, PADDING, 1, 1, 1, UNUSED]], dtype=torch.int32)
    tensors = call(batch=2, q_len=5, kv_len=7)
    for pattern in (A_SHAPE, attncc.Pattern.load("block_sparse", block=2, top=2)):
        rest = tokens, [], known(pattern), 0.3
        torch.library.opcheck(torch.ops.attncc._rows.default, (*leaves(tensors), *rest))
        query, key, value = leaves(tensors)
        out, lse = attend_rows(query, key, value, tokens, known(pattern), 0.3)
        assert out[0, :, 0].isfinite().all()
        own = attncc.attention(query[:1, :, 3:5], key[:1, :, 4:6], value[:1, :, 4:6], pattern, scale=0.3)
        assert torch.equal(out[:1, :, 3:5], own)
        assert lse[1, :, 0].isfinite().all() == torch.tensor(True)
        assert lse[1, :, 1].eq(-torch.inf).all()


class Attends(nn.Module):
    layer_idx = 0

    def __init__(self, **config: object) -> None:
        super().__init__()
        self.config = transformers.LlamaConfig(num_hidden_layers=1, **config)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"dropout": 0.1}, "for dropout, which attncc does not do; set attention_dropout to 0"),
        ({"position_bias": torch.zeros(1)}, "for a bias for each position"),
        ({"is_causal": False, "softcap": 3.0}, "capped scores or sinks in a layer that is not causal"),
    ],
)
def test_what_is_refused(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(ModelNotServed, match=sentence):
        adapter.attention("attncc", Attends(), *call(), None, **given)


def test_a_mask_of_another_length() -> None:
    tokens = torch.ones(1, 1, 1, 40, dtype=torch.int32)
    with pytest.raises(MaskNotServed, match="it is for 40 keys, and the layer has 33"):
        adapter.attention("attncc", Attends(), *call(), tokens)


def test_without_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ExtraMissing, match=r"serving models needs a package that is not installed: .*attncc\[hf\]"):
        register()
