"""Do models compute with attncc what they compute by themselves?"""

from __future__ import annotations

import pytest
import torch

from attncc import once
from tests.models.samples import KINDS, PAD, distance, logits, model, padded, prompt

PADS = [5, 0, 0, 9]
#: What two float32 computations of one model differ by where neither is at fault, in units of the last place of 1.
SLACK = 16 * torch.finfo(torch.float32).eps


BRIEFLY = ("Llama", "Gemma2", "GptOss")


@pytest.mark.parametrize(
    ("kind", "dtype"), [*((kind, torch.float32) for kind in KINDS), *((kind, torch.bfloat16) for kind in BRIEFLY)]
)
def test_logits(kind: str, dtype: torch.dtype) -> None:
    ids = prompt()
    exact, plain = (logits(model(kind, one), "eager", ids) for one in (torch.float64, dtype))
    assert distance(logits(model(kind, dtype), "attncc", ids), exact) <= 2 * distance(plain, exact) + SLACK


@pytest.mark.parametrize(
    ("kind", "side"),
    [("Llama", "left"), ("Llama", "right"), ("Mistral", "left"), ("Gemma2", "left"), ("GptOss", "right")],
)
def test_padding_changes_nothing(kind: str, side: str) -> None:
    """A prompt of a padded batch is what it is alone."""
    ids, mask = padded(prompt(4), PADS, side)
    found = logits(model(kind), "attncc", ids, attention_mask=mask)
    assert found.isfinite().all()
    for row, real in enumerate(mask.bool()):
        alone = ids[row : row + 1, real]
        exact, plain = (logits(model(kind, one), "eager", alone)[0] for one in (torch.float64, torch.float32))
        assert distance(found[row, real], exact) <= 2 * distance(plain, exact) + SLACK


@pytest.mark.parametrize(
    ("kind", "cache"), [*((kind, "dynamic") for kind in KINDS), ("Qwen3", "static"), ("GptOss", "static")]
)
def test_greedy_generation_is_identical(kind: str, cache: str) -> None:
    """Over the end of every window, with padding."""
    ids, mask = padded(prompt(3, 9), [4, 0, 2], "left")
    given = {"attention_mask": mask, "max_new_tokens": 10, "do_sample": False, "pad_token_id": PAD}
    found = []
    for implementation in ("eager", "attncc"):
        model(kind).set_attn_implementation(implementation)
        # Compiling the steps of a static cache takes a minute and is another question.
        found.append(model(kind).generate(ids, cache_implementation=cache, disable_compile=True, **given))
    assert torch.equal(*found)


@pytest.mark.parametrize("kind", ["Llama", "GptOss"])
def test_gradients(kind: str) -> None:
    """Of every parameter, the logits of sinks among them."""
    ids, mask = padded(prompt(), [3, 0], "right")
    found = {}
    for name, dtype in (("eager", torch.float64), ("eager", torch.float32), ("attncc", torch.float32)):
        one = model(kind, dtype)
        one.set_attn_implementation(name)
        one.zero_grad()
        one(ids, attention_mask=mask).logits[mask.bool()].square().mean().backward()
        found[name, dtype] = {which: parameter.grad for which, parameter in one.named_parameters()}
    exact = found["eager", torch.float64]
    for which, gradient in found["attncc", torch.float32].items():
        plain = distance(found["eager", torch.float32][which], exact[which])
        assert distance(gradient, exact[which]) <= 4 * plain + SLACK * float(exact[which].abs().max()), which


@pytest.mark.parametrize("kind", ["Llama", "Qwen3"])
def test_packed_sequences(kind: str) -> None:
    ids = prompt(2, 30)
    position_ids = torch.cat([torch.arange(11), torch.arange(19)]).expand(2, -1)
    given = {"position_ids": position_ids, "use_cache": False}
    exact = logits(model(kind, torch.float64), "eager", ids, **given)
    bound = 2 * distance(logits(model(kind), "eager", ids, **given), exact)
    assert distance(logits(model(kind), "attncc", ids, **given), exact) <= bound + SLACK


@pytest.mark.parametrize("kind", ["Llama", "Gemma2", "GptOss"])
def test_a_mask_of_ones_own_is_served_by_pytorch(kind: str) -> None:
    ids = prompt(1, 20)
    mask = torch.tril(torch.ones(20, 20, dtype=torch.bool))[None, None]
    mask[..., 3:, 2] = False
    once.say_once.cache_clear()
    with pytest.warns(UserWarning, match="without the pattern"):
        found = logits(model(kind), "attncc:a_shape", ids, attention_mask=mask)
    floats = torch.where(mask, 0.0, torch.finfo(torch.float32).min)
    assert distance(found, logits(model(kind), "eager", ids, attention_mask=floats)) <= 1e-4
