"""How are calls of `scaled_dot_product_attention` caught in a model that makes them?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor
from torch.overrides import TorchFunctionMode

from attncc.nn.drop_in import SDPA, scaled_dot_product_attention
from attncc.pattern import Pattern, resolve


class instead_of_sdpa(TorchFunctionMode):  # noqa: N801 - used like a function, as torch.no_grad is
    """A context in which models that call `torch.nn.functional.scaled_dot_product_attention` are served here.

    The `pattern`, if one is given, is for causal calls and for single queries, which are steps of decoding; the calls
    of an encoder and from one sequence to another are dense as ever. For the thread that enters it.

        with attncc.nn.instead_of_sdpa("a_shape"):
            model(tokens)
    """

    def __init__(self, pattern: Pattern | str | None = None) -> None:
        super().__init__()
        self.pattern = None if pattern is None else resolve(pattern)

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        if func is not SDPA:
            return func(*args, **(kwargs or {}))
        return self._serve(*args, **(kwargs or {}))  # type: ignore[arg-type] - the arguments of PyTorch's function

    def _serve(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        sparse = attn_mask is None and (is_causal or query.shape[-2] == 1)
        call = query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa
        return scaled_dot_product_attention(*call, pattern=self.pattern if sparse else None)
