"""A small Llama whose heads are known: some look at the keys just before, the others find a token wherever it was.

It is planted as weights, the circuit by which models recall what followed a token, and then trained with all of its
weights on texts that ask for it. Streaming heads have a query and a key that do not depend on the token: with rotary
positions their product falls with the distance from one position, the token's own or the one before. Retrieval heads
have codes of tokens as queries and keys, in the slowest rotations, which hardly turn over a text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

VOCABULARY, HIDDEN, HEAD_DIM, Q_HEADS, KV_HEADS = 256, 128, 64, 8, 4
THETA = 1e7
#: Rotations from this one on turn by less than a third over 4,096 positions; two numbers of a code lie in each.
SLOW = 20
CODE = HEAD_DIM - 2 * SLOW
#: Where the parts of a token's vector begin: its code, that of its partner, that of the token before, that of what
#: comes next, and a number that is the same for all.
OWN, PARTNER, BEFORE, NEXT, SAME = 0, CODE, 2 * CODE, 3 * CODE, 4 * CODE
#: Sharpness of streaming and of retrieval heads.
NEAR, FOUND = 150.0, 30.0
STEPS, BATCH, LENGTH, RATE = 16, 4, 256, 3e-4

#: The KV heads of each layer that find tokens: in the first layer the token's partner, in the second the tokens that
#: followed it. The others stream.
RETRIEVAL = ((3,), (0, 2))
LAYERS = len(RETRIEVAL)


@dataclass(frozen=True, slots=True)
class Trained:
    """The model, and its mean losses over the first and the last quarter of training, in nats a token."""

    model: LlamaForCausalLM
    before: float
    after: float


@cache
def planted() -> Trained:
    """The trained model, the same at each call."""
    torch.manual_seed(0)
    model = _planted()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    losses = []
    for tokens in texts(STEPS, LENGTH, BATCH):
        loss = model(input_ids=tokens, labels=tokens).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    some = STEPS // 4
    return Trained(model.eval(), sum(losses[:some]) / some, sum(losses[-some:]) / some)


def save(folder: Path) -> Path:
    """The trained model as a local folder of Transformers."""
    planted().model.save_pretrained(folder)
    return folder


def texts(count: int, length: int, batch: int = 1, seed: int = 1) -> Iterator[Tensor]:
    """Tokens, int64 [batch, length], of which three in four are what followed the token before wherever it stood in
    this text: nothing but looking there tells which."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        follower = torch.stack([torch.randperm(VOCABULARY, generator=generator) for _ in range(batch)])
        tokens = torch.randint(VOCABULARY, (batch, length), generator=generator)
        known = torch.rand(batch, length, generator=generator) < 0.75
        for at in range(1, length):
            next_one = follower.gather(1, tokens[:, at - 1 : at])[:, 0]
            tokens[:, at] = torch.where(known[:, at], next_one, tokens[:, at])
        yield tokens


def _planted() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=Q_HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=HEAD_DIM,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        initializer_range=0.02,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    codes = torch.randn(VOCABULARY, CODE).sign() / CODE**0.5
    with torch.no_grad():
        table = torch.zeros(VOCABULARY, HIDDEN)
        table[:, OWN : OWN + CODE] = codes
        table[:, PARTNER : PARTNER + CODE] = codes.roll(1, 0)
        table[:, SAME] = 1
        model.model.embed_tokens.weight.copy_(table)
        model.lm_head.weight[:, NEXT : NEXT + CODE] = codes
        for number, retrieval in enumerate(RETRIEVAL):
            for head in range(KV_HEADS):
                _plant(model, number, head, head in retrieval)
    return model


def _plant(model: LlamaForCausalLM, number: int, head: int, retrieval: bool) -> None:
    """One KV head with its query heads: what they look for, what they take there, and where they put it."""
    attention = model.model.layers[number].self_attn
    asked, offered, sharp = _streaming(1 if head % 2 else 0), _streaming(0), NEAR
    if retrieval:
        asked, offered, sharp = _code(PARTNER if number == 0 else OWN), _code(OWN if number == 0 else BEFORE), FOUND
    # A score is the product over the square root of head_dim; a layer gives its vectors the length sqrt(HIDDEN).
    gain = (sharp * HEAD_DIM**0.5 / (HIDDEN / (3 + number))) ** 0.5
    attention.q_proj.weight.view(KV_HEADS, -1, HEAD_DIM, HIDDEN)[head] = asked * gain
    attention.k_proj.weight.view(KV_HEADS, HEAD_DIM, HIDDEN)[head] = offered * gain
    before = number == 0 and head == 1
    if before or (retrieval and number == 1):
        attention.v_proj.weight.view(KV_HEADS, HEAD_DIM, HIDDEN)[head] += _code(OWN) / (HIDDEN / (3 + number)) ** 0.5
        group = Q_HEADS // KV_HEADS
        out = attention.o_proj.weight.view(HIDDEN, KV_HEADS, group, HEAD_DIM)
        out[:, head] += _code(BEFORE if before else NEXT).T[:, None, :] / group * (1 if before else 4)


def _streaming(back: int) -> Tensor:
    """A query for the position `back` tokens before, or with 0 the key, in all rotations: [HEAD_DIM, HIDDEN]."""
    pairs = HEAD_DIM // 2
    turned = back * THETA ** (-torch.arange(pairs) / pairs)
    weight = torch.zeros(HEAD_DIM, HIDDEN)
    weight[:pairs, SAME], weight[pairs:, SAME] = turned.cos() / pairs**0.5, -turned.sin() / pairs**0.5
    return weight


def _code(place: int) -> Tensor:
    """The code that begins at `place`, in the slow rotations: [HEAD_DIM, HIDDEN]."""
    weight = torch.zeros(HEAD_DIM, HIDDEN)
    slow = [*range(SLOW, HEAD_DIM // 2), *range(HEAD_DIM // 2 + SLOW, HEAD_DIM)]
    weight[slow, range(place, place + CODE)] = 1
    return weight
