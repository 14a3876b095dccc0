"""Do models stay whole under `torch.compile` and `torch.export`, and do steps of decoding not compile again?"""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache, StaticCache

import attncc
from attncc.models.plan import Plan, Rule, Use
from attncc.models.plan_spans import All, Range
from attncc.models.registering import register
from tests.models.samples import distance, logits, model, padded, prompt

A_SHAPE = attncc.Pattern.load("a_shape", sink=2, window=5)
HALF = Plan(
    name="half",
    about="",
    source="",
    scope="kv",
    uses=(("streaming", Use("a_shape", (("sink", 2), ("window", 5)))),),
    rules=(Rule((All(),), (Range(1, 1),), "streaming", "streaming"),),
)


@pytest.fixture(autouse=True)
def no_graphs_left() -> None:
    torch.compiler.reset()


@pytest.mark.parametrize(
    ("padding", "use_cache", "name"),
    [
        (False, True, register(A_SHAPE)),
        (False, False, register(HALF)),
        (True, False, "attncc:block_sparse"),
    ],
)
def test_one_graph(padding: bool, use_cache: bool, name: str) -> None:
    """Without a cache, sequences may be packed into a row, and only values tell."""
    ids, mask = padded(prompt(2, 21), [0, 5], "left")
    given = {"use_cache": use_cache, **({"attention_mask": mask} if padding else {})}
    one = model("Llama")
    wanted = logits(one, name, ids, **given)
    compiled = torch.compile(one, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert distance(compiled(ids, **given).logits, wanted) < 1e-6


@pytest.mark.parametrize("kind", ["GptOss"])
def test_one_graph_of_other_kinds(kind: str) -> None:
    ids, one = prompt(1, 21), model(kind)
    wanted = logits(one, register(A_SHAPE), ids)
    with torch.no_grad():
        assert distance(torch.compile(one, fullgraph=True, backend="aot_eager")(ids).logits, wanted) < 1e-5


def test_gradients_in_one_graph() -> None:
    ids, mask = padded(prompt(2, 13), [0, 4], "right")
    one, found = model("Llama"), []
    one.set_attn_implementation(register(HALF))
    for forward in (one, torch.compile(one, fullgraph=True, backend="aot_eager")):
        one.zero_grad()
        forward(ids, attention_mask=mask, use_cache=False).logits[mask.bool()].square().mean().backward()
        found.append([parameter.grad.clone() for parameter in one.parameters()])
    assert max(distance(*pair) for pair in zip(*found, strict=True)) < 1e-6


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_steps_do_not_compile_again(cache: str) -> None:
    one, ids = model("Llama"), prompt(2, 21)
    name = register(HALF)
    whole = logits(one, name, ids)
    kept = DynamicCache(config=one.config) if cache == "dynamic" else StaticCache(config=one.config, max_cache_len=32)
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(one, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        one(ids[:, :8], cache=kept)
        for at in range(8, 21):
            step = compiled(ids[:, at : at + 1], cache=kept).logits
            assert distance(step[:, 0], whole[:, at]) < 1e-5
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 2


def test_export() -> None:
    one, ids = model("Llama"), prompt(1, 21)
    wanted = logits(one, register(A_SHAPE), ids, use_cache=False)
    with torch.no_grad():
        program = torch.export.export(one, (ids,), {"use_cache": False}, strict=False)
        assert distance(program.module()(ids, use_cache=False).logits, wanted) < 1e-6
