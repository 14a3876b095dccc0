"""Which kernel serves this call? Found once for each signature, then looked up."""

from __future__ import annotations

from functools import cache, partial
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from attncc import check, compiler
from attncc.codegen.kernel import Phase
from attncc.device import DeviceModel, amd, host, nvidia
from attncc.errors import NoCompiler
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Shape
from attncc.library.key import shape_class
from attncc.lists import NOTHING, Given
from attncc.once import say_once
from attncc.ref import plain

#: out like query, and lse, float32 [batch, q_heads, q_len].
State: TypeAlias = tuple[Tensor, Tensor]


class Serve(Protocol):
    """Computes a call whose arguments have been checked."""

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, given: Given | None = None, /
    ) -> State: ...


Signature: TypeAlias = tuple[torch.dtype | torch.Size | int | None, ...]

#: Signatures remembered for one pattern.
MOST_SIGNATURES = 4096


class Attend:
    """A pattern with its parameters in force, as a function of query, key and value; remembers the kernels it found."""

    __slots__ = ("_by_class", "_by_signature", "pattern")

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self._by_signature: dict[Signature, Serve] = {}
        self._by_class: dict[tuple[Operands, Phase, str, int, DeviceModel], Serve] = {}

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None, given: Given | None = None
    ) -> State:
        """(out, lse). Raises what `check.arguments`, `check.scale_of` and `compiler.kernel` raise."""
        kv_shape = key.shape
        if len(kv_shape) != 4 or kv_shape != value.shape:
            check.sizes(query, key, value)
        batch, kv_heads, kv_len, head_dim = kv_shape
        # Of kv_len only its power of two, which decides the kernel: decoding makes it longer with every token.
        kv_class = (kv_len - 1).bit_length() if kv_len else None
        signature: Signature = (
            query.dtype, key.dtype, value.dtype,
            query.shape, batch, kv_heads, kv_class, head_dim,
            # True is 1 to a dictionary, and faster to ask for; where head_dim is 1, no stride matters.
            query.is_contiguous() or query.stride(-1), key.is_contiguous() or key.stride(-1),
            value.is_contiguous() or value.stride(-1),
            query.get_device(), key.get_device(), value.get_device(),
        )  # fmt: skip
        serve = self._by_signature.get(signature) or self._found(signature, query, key, value)
        if given is None:
            return serve(query, key, value, check.scale_of(scale, query))
        return serve(query, key, value, check.scale_of(scale, query), given)

    def forget(self) -> None:
        """Looks kernels up again from here on."""
        self._by_signature.clear()
        self._by_class.clear()

    def _found(self, signature: Signature, query: Tensor, key: Tensor, value: Tensor) -> Serve:
        operands, shape = check.arguments(query, key, value)
        device = model_of(query.device)
        phase = compiler.backend_of(device).phase(shape, self.pattern.grain())
        call = (operands, phase, shape_class(shape), shape.group, device)
        serve = self._by_class.get(call) or self._kernel(operands, shape, device)
        if len(self._by_signature) >= MOST_SIGNATURES:
            self._by_signature.clear()
        self._by_signature[signature] = self._by_class[call] = serve
        return serve

    def _kernel(self, operands: Operands, shape: Shape, device: DeviceModel) -> Serve:
        try:
            return compiler.kernel(self.pattern, operands, shape, device)
        except NoCompiler as error:
            say_once(f"{error}; until then attncc computes with PyTorch's own operators, which is slow")
            return partial(_plain, self.pattern)


def _plain(
    pattern: Pattern, query: Tensor, key: Tensor, value: Tensor, scale: float, given: Given | None = None, /
) -> State:
    return plain.forward(pattern, query, key, value, scale, given or NOTHING)


_attends: dict[Pattern, Attend] = {}


def attend(pattern: Pattern) -> Attend:
    """The function that computes `pattern`; the same object for equal patterns."""
    return _attends.setdefault(pattern, Attend(pattern))


def _forget() -> None:
    for known in tuple(_attends.values()):
        known.forget()


# What was tuned serves the next call.
compiler.when_forgotten(_forget)


@cache
def model_of(device: torch.device) -> DeviceModel:
    """The hardware model behind a PyTorch device."""
    if device.type == "cpu":
        return host()
    properties = torch.cuda.get_device_properties(device)
    sizes = properties.multi_processor_count, properties.L2_cache_size >> 20, properties.total_memory >> 30
    if torch.version.hip:
        return amd(properties.name, properties.gcnArchName, *sizes)
    return nvidia(properties.name, properties.major, properties.minor, *sizes)
