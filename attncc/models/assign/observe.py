"""What do the attention layers of a Transformers model see while it reads a text?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from attncc.errors import ExtraMissing
from attncc.models.assign.exact import Layer, attention

#: Is told the number of a layer and what it is asked.
Watch: TypeAlias = Callable[[int, Layer], None]

NAME = "attncc_observed"


class Reader(Protocol):
    """What is asked of a model of Transformers."""

    config: Configured

    def __call__(self, *, input_ids: Tensor, use_cache: bool) -> object: ...
    def set_attn_implementation(self, implementation: str) -> None: ...


class Configured(Protocol):
    """What is read of a configuration."""

    _attn_implementation: str


class Attending(Protocol):
    """What is read of a module that attends."""

    config: object


def observe(model: Reader, tokens: Tensor, watch: Watch) -> None:
    """Lets `model` read `tokens`, int64 [1, length], and tells `watch` of each attention layer, in their order. One
    layer's tensors are held at a time; the model's own results are not changed. Raises ExtraMissing."""
    with _watched(model, watch), torch.inference_mode():
        model(input_ids=tokens, use_cache=False)


@contextmanager
def _watched(model: Reader, watch: Watch) -> Iterator[None]:
    try:
        from transformers import AttentionInterface, AttentionMaskInterface
    except ModuleNotFoundError as missing:
        raise ExtraMissing("finding a plan", "hf") from missing
    before = model.config._attn_implementation

    def forward(
        module: Attending,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        **others: object,
    ) -> tuple[Tensor, None]:
        layer = _layer(module, query, key, value, scaling, others)
        number = getattr(module, "layer_idx", None)
        if isinstance(number, int):
            watch(number, layer)
        out, _ = attention(layer)
        return out.to(query.dtype).transpose(1, 2).contiguous(), None

    AttentionInterface.register(NAME, forward)
    AttentionMaskInterface.register(NAME, _no_mask)
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _no_mask(*_: object, **__: object) -> None:
    """One text without padding needs no mask: order and windows are kept by `attention`."""


def _layer(
    module: Attending, query: Tensor, key: Tensor, value: Tensor, scaling: float | None, others: dict[str, object]
) -> Layer:
    softcap, sinks, causal = others.get("softcap"), others.get("s_aux"), others.get("is_causal")
    window = _window(module, others)
    return Layer(
        query,
        key,
        value,
        scale=query.shape[3] ** -0.5 if scaling is None else scaling,
        causal=bool(getattr(module, "is_causal", True) if causal is None else causal),
        window=window if window is None or window < key.shape[2] else None,
        softcap=float(softcap) if isinstance(softcap, int | float) else None,
        sinks=sinks if isinstance(sinks, Tensor) else None,
    )


def _window(module: Attending, others: dict[str, object]) -> int | None:
    """The window of the layer: what it passes, or where it passes none, what its configuration says."""
    if "sliding_window" in others:
        found = others["sliding_window"]
    else:
        kinds, layer = getattr(module.config, "layer_types", None), getattr(module, "layer_idx", None)
        sliding = kinds is not None and layer is not None and kinds[layer] == "sliding_attention"
        found = getattr(module.config, "sliding_window", None) if sliding else None
    return found if isinstance(found, int) else None
