"""How long does a whole model take for a prompt, by PyTorch's attention and by plans?"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attncc.report.record import Prefill
from bench.clock import CLOCKS, summary

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "models"
#: Half of the KV heads stream: 64 sinks and 256 recent keys.
PLAN = "duo_attention"
LAYERS, Q_HEADS, KV_HEADS, HEAD_DIM = 8, 4, 2, 64
SEED = 20261125
#: Tokens of a first prompt, for which kernels are compiled.
WARM = 512
#: What the prompt runs by: the name of an implementation, and whether its result is that of the dense model.
IMPLEMENTATIONS = (("sdpa", True), ("attncc", True), (f"attncc:plan:{PLAN}", False))


def installed() -> bool:
    """Whether there is a Transformers to run models with."""
    return find_spec("transformers") is not None


def prefills(kv_len: int, threads: int, rounds: int) -> Iterator[Prefill]:
    """A prompt of `kv_len` tokens through a small Llama with random weights in bfloat16, by each implementation, in
    interleaved rounds: CPU time on one thread, wall time on more."""
    torch.set_num_threads(threads)
    read = CLOCKS["cpu" if threads == 1 else "wall"]
    model = llama(kv_len)
    tokens = torch.randint(0, 1000, (1, kv_len), generator=torch.Generator().manual_seed(SEED))
    names, last = [name for name, _ in IMPLEMENTATIONS], dict[str, Tensor]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        _prompt(model, name, tokens[:, :WARM])
    for index in range(rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            start = read()
            last[name] = _prompt(model, name, tokens)
            seconds[name].append(read() - start)
    for name, same in IMPLEMENTATIONS:
        error = float((last[name] - last["sdpa"]).norm() / last["sdpa"].norm())
        found = summary(seconds[name])
        kept = found.micros / 1e6, found.spread, found.samples, error
        yield Prefill(described(kv_len), name, kv_len, threads, same, *kept)


def described(kv_len: int) -> str:
    """The model and its prompt, in words."""
    return f"Llama, {LAYERS} layers, {Q_HEADS} heads ({KV_HEADS} KV), d{HEAD_DIM}, bfloat16, {kv_len} tokens"


def llama(kv_len: int) -> PreTrainedModel:
    """The model, with the same weights each time."""
    from transformers import LlamaConfig, LlamaForCausalLM

    import attncc.models

    attncc.models.register()
    config = LlamaConfig(
        vocab_size=1000,
        hidden_size=Q_HEADS * HEAD_DIM,
        intermediate_size=4 * Q_HEADS * HEAD_DIM * 2 // 3,
        num_hidden_layers=LAYERS,
        num_attention_heads=Q_HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=HEAD_DIM,
        max_position_embeddings=kv_len,
    )
    torch.manual_seed(SEED)
    model: PreTrainedModel = LlamaForCausalLM(config).to(torch.bfloat16).eval()
    return model


@torch.inference_mode()
def _prompt(model: PreTrainedModel, implementation: str, tokens: Tensor) -> Tensor:
    """The logits behind the last token."""
    model.set_attn_implementation(implementation)
    logits: Tensor = model(tokens, logits_to_keep=1).logits
    return logits.float()
