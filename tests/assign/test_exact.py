"""Is what assign takes for the model's own attention that, whatever the layer does, and however it is cut?"""

from __future__ import annotations

import pytest
import torch

from attncc.models.assign import exact
from attncc.models.assign.exact import Layer, attention, blocks


def layer(seed: int = 0, q_len: int = 23, kv_len: int = 23, **special: object) -> Layer:
    torch.manual_seed(seed)
    query, key, value = torch.randn(1, 6, q_len, 16), torch.randn(1, 2, kv_len, 16), torch.randn(1, 2, kv_len, 16)
    return Layer(query, key, value, 0.3, **special)  # type: ignore[arg-type] # what is special about it


def slow(one: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    """In float64, key by key."""
    out, lse = torch.zeros(one.query.shape, dtype=torch.float64), torch.zeros(one.query.shape[:3], dtype=torch.float64)
    q_len, kv_len = one.query.shape[2], one.key.shape[2]
    for head in range(6):
        for row in range(q_len):
            q, logits, values = row + kv_len - q_len, [], []
            for kv in range(kv_len):
                if (one.causal and kv > q) or (one.window is not None and q - kv >= one.window):
                    continue
                score = float(one.query[0, head, row].double() @ one.key[0, head // 3, kv].double()) * one.scale
                logits.append(
                    score
                    if one.softcap is None
                    else one.softcap * float(torch.tanh(torch.tensor(score / one.softcap).double()))
                )
                values.append(one.value[0, head // 3, kv].double())
            if one.sinks is not None:
                logits.append(float(one.sinks[head]))
                values.append(torch.zeros(16, dtype=torch.float64))
            weight = torch.tensor(logits, dtype=torch.float64)
            lse[0, head, row] = weight.logsumexp(0)
            out[0, head, row] = weight.softmax(0) @ torch.stack(values)
    return out, lse


@pytest.mark.parametrize(
    "special",
    [{}, {"causal": False}, {"window": 5}, {"softcap": 0.7}, {"sinks": torch.linspace(-1, 2, 6)}],
    ids=["causal", "all", "window", "softcap", "sinks"],
)
@pytest.mark.parametrize("most", [1, 1 << 12, 1 << 25])
def test_equals_the_slow_form(special: dict[str, object], most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "MOST_SCORES", most)
    one = layer(**special)
    out, lse = attention(one)
    wanted, lse_wanted = slow(one)
    torch.testing.assert_close(out.double(), wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(lse.double(), lse_wanted, rtol=1e-5, atol=1e-5)
    assert bool(one.special()) == bool(special)


def test_queries_are_the_last_positions() -> None:
    whole, _ = attention(layer())
    one = layer()
    last, _ = attention(Layer(one.query[:, :, -3:], one.key, one.value, one.scale))
    torch.testing.assert_close(last, whole[:, :, -3:])


def test_scores_that_are_held_do_not_grow_with_the_square_of_the_length() -> None:
    for length in (1 << 12, 1 << 17):
        long = Layer(torch.empty(1, 32, length, 1), torch.empty(1, 8, length, 1), torch.empty(1, 8, length, 1), 1.0)
        assert len(next(blocks(long))) * 32 * length <= exact.MOST_SCORES


def test_special_layers_are_told_apart_in_words() -> None:
    assert layer(window=5).special() == "it has a window of 5 keys of its own"
    assert layer(softcap=1.0, sinks=torch.zeros(6)).special() == "its scores are capped and it has sink logits"
