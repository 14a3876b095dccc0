"""Do models run the patterns and plans that they are told to, head by head, padded and step by step?"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache

import attncc
from attncc.errors import ModelNotServed, PatternDoesNotFit
from attncc.models.grouping import Share, launches, runs
from attncc.models.plan import Plan, Rule, Use
from attncc.models.plan_spans import Range
from attncc.models.registering import apply, register
from tests.models.samples import distance, logits, model, padded, prompt

A_SHAPE = attncc.Pattern.load("a_shape", sink=2, window=5)
CHOOSING = [
    attncc.Pattern.load("block_sparse", block=4, top=3),
    attncc.Pattern.load("vertical_slash", vertical=3, slash=4, first=2, near=3, last=4, tile=4),
    attncc.Pattern.load("hip", sink=2, window=6, top=2, block=2, rows=4, dense_below=0),
    attncc.Pattern.load("quest", page=4, top=3),
]
MIXED = Plan(
    name="mixed",
    about="",
    source="",
    scope="q",
    uses=(
        ("streaming", Use("a_shape", (("sink", 2), ("window", 5)))),
        ("near", Use("sliding_window", (("window", 3),))),
        ("late", Use("sliding_window", (("window", 4),), dense_below=24)),
    ),
    rules=(
        Rule((Range(0, 0),), (Range(1, 1), Range(3, 3)), "streaming", "near"),
        Rule((Range(1, 1),), (Range(0, 0), Range(3, 3)), "streaming", "streaming"),
        Rule((Range(1, 1),), (Range(2, 2),), "late", "late"),
    ),
)


def oracle(patterns: Sequence[Sequence[attncc.Pattern | str]]) -> str:
    """An implementation that computes, in float64, head by head, `patterns[layer][head]`."""

    def dense(
        module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: None, scaling: float, **_: object
    ) -> tuple[Tensor, None]:
        assert mask is None, "the reference is for single sequences"
        group, outs = query.shape[1] // key.shape[1], []
        for head, pattern in enumerate(patterns[module.layer_idx]):  # type: ignore[index] - modules hold tensors
            one, other = slice(head, head + 1), slice(head // group, head // group + 1)
            call = query[:, one].double(), key[:, other].double(), value[:, other].double()
            outs.append(attncc.reference(*call, pattern, scale=scaling))
        return torch.cat(outs, 1).to(query.dtype).transpose(1, 2), None

    AttentionInterface.register("oracle", dense)
    AttentionMaskInterface.register("oracle", lambda **_: None)
    return "oracle"


def alike(pattern: attncc.Pattern) -> str:
    return oracle([[pattern] * 4] * 2)


def test_static_patterns() -> None:
    name = register(A_SHAPE)
    assert name == "attncc:a_shape(sink=2,window=5)"
    exact = logits(model("Llama"), alike(A_SHAPE), prompt())
    assert distance(logits(model("Llama"), name, prompt()), exact) < 1e-5
    assert distance(logits(model("Llama"), "attncc", prompt()), exact) > 1e-3


@pytest.mark.parametrize("pattern", CHOOSING, ids=lambda pattern: pattern.name)
def test_patterns_that_choose(pattern: attncc.Pattern) -> None:
    """All heads choose together where the pattern says so, so the reference is not asked head by head."""
    together = pattern.bound.selections[0].heads != "each"
    name = register(pattern)
    ids, mask = padded(prompt(2, 21), [0, 6], "left")
    # A score need not be the same for rotary positions that are shifted; generation counts from the first real token.
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    found = logits(model("Llama"), name, ids, attention_mask=mask, position_ids=positions)
    for row, real in enumerate(mask.bool()):
        alone = ids[row : row + 1, real]
        exact = logits(model("Llama"), name if together else alike(pattern), alone)
        assert distance(found[row, real], exact[0]) < 1e-5


@pytest.mark.parametrize("side", ["left", "right"])
def test_sinks_are_the_first_real_tokens(side: str) -> None:
    ids, mask = padded(prompt(3), [4, 0, 7], side)
    found = logits(model("Llama"), register(A_SHAPE), ids, attention_mask=mask)
    for row, real in enumerate(mask.bool()):
        exact = logits(model("Llama"), alike(A_SHAPE), ids[row : row + 1, real])
        assert distance(found[row, real], exact[0]) < 1e-5


def test_steps_with_a_cache_are_rows_of_the_whole() -> None:
    ids, mask = padded(prompt(2, 21), [0, 5], "left")
    one, name = model("Llama"), register(A_SHAPE)
    whole = logits(one, name, ids, attention_mask=mask)
    with torch.no_grad():
        cache = DynamicCache(config=one.config)
        one(ids[:, :16], attention_mask=mask[:, :16], cache=cache)
        for at in range(16, 21):
            step = one(ids[:, at : at + 1], attention_mask=mask[:, : at + 1], cache=cache).logits
            assert distance(step[:, 0], whole[:, at]) < 1e-5


def test_a_plan_runs_head_by_head() -> None:
    name, one = register(MIXED), model("Llama")
    near, late = (attncc.Pattern.load("sliding_window", window=window) for window in (3, 4))
    short, long = prompt(1, 20), prompt(1, 40)
    first = ["causal", A_SHAPE, "causal", A_SHAPE]
    for ids, third in ((short, "causal"), (long, late)):
        exact = logits(one, oracle([first, [A_SHAPE, "causal", third, A_SHAPE]]), ids)
        assert distance(logits(one, name, ids), exact) < 1e-5
    steps = []
    for implementation in (name, oracle([["causal", near, "causal", near], [A_SHAPE, "causal", "causal", A_SHAPE]])):
        cache = DynamicCache(config=one.config)
        logits(one, "attncc", short, cache=cache)
        steps.append(logits(one, implementation, prompt(1, 21)[:, -1:], cache=cache))
    assert distance(*steps) < 1e-5


def test_layers_with_a_window_keep_it() -> None:
    window = attncc.Pattern.load("sliding_window", window=12)
    exact = logits(model("Qwen3"), oracle([[window] * 4, [A_SHAPE] * 4]), prompt())
    assert distance(logits(model("Qwen3"), register(A_SHAPE), prompt()), exact) < 1e-5


def test_shipped_names() -> None:
    names = AttentionInterface._global_mapping
    assert {"attncc", "attncc:a_shape", "attncc:vertical_slash", "attncc:plan:duo_attention"} <= set(names)
    assert "attncc:padded" not in names


def test_a_name_and_a_model() -> None:
    assert register("hip") == "attncc:hip"
    one = apply(model("Llama"), "a_shape")
    assert one.config._attn_implementation == "attncc:a_shape"


def test_what_does_not_fit() -> None:
    with pytest.raises(PatternDoesNotFit, match="'padded' cannot serve this model: it takes the input 'valid'"):
        register("padded")
    with pytest.raises(PatternDoesNotFit, match="it has sink logits, and the model has none"):
        logits(model("Llama"), "attncc:gpt_oss", prompt())
    with pytest.raises(PatternDoesNotFit, match="it combines scores by softplus_l1, and the model has sink logits"):
        logits(model("GptOss"), "attncc:softplus_attention", prompt())
    one = model("Llama", attention_dropout=0.1)
    one.train()
    with pytest.raises(ModelNotServed, match="dropout, which attncc does not do; set attention_dropout to 0"):
        logits(one, "attncc", prompt())


def test_launches_share_heads_evenly() -> None:
    near = attncc.Pattern.load("sliding_window", window=3)
    halves = [Share(A_SHAPE, (0, 1, 4, 5)), Share(near, (2, 3, 6, 7))]
    found = launches(halves, 8, 4, copies=True)
    assert [(one.q_heads, one.kv_heads) for one in found] == [
        ((0, 1, 4, 5), range(0, 3, 2)),
        ((2, 3, 6, 7), range(1, 4, 2)),
    ]
    uneven = [Share(A_SHAPE, (0, 1, 2, 4)), Share(near, (3, 5, 6, 7))]
    found = launches(uneven, 8, 4, copies=True)
    assert [(one.q_heads, one.kv_heads) for one in found] == [
        (range(2), range(1)),
        (range(2, 5, 2), range(1, 3)),
        (range(3, 6, 2), range(1, 3)),
        (range(6, 8), range(3, 4)),
    ]


def test_decoding_copies_no_cache() -> None:
    near = attncc.Pattern.load("sliding_window", window=3)
    shares = [Share(A_SHAPE, (0, 1, 3)), Share(near, (2, 4, 5, 6, 7))]
    assert all(isinstance(one.kv_heads, range) for one in launches(shares, 8, 8, copies=False))
    assert len(launches(shares, 8, 8, copies=True)) == 2
    assert runs((0, 1, 3, 4, 5, 7)) == ((0, 1), (3, 4, 5), (7,))


def test_patterns_that_count_heads_are_not_divided() -> None:
    duo = attncc.Pattern.load("duo_attention", full_heads=2)
    with pytest.raises(PatternDoesNotFit, match="it treats heads by their number"):
        launches([Share(duo, (0, 1)), Share(A_SHAPE, (2, 3))], 4, 4, copies=True)
