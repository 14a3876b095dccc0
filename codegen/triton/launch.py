"""Calls a kernel with tensors: allocates the results, counts the tiles, passes strides and launch options."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from types import ModuleType
from typing import Protocol, TypeAlias

import torch
import triton
from triton.compiler import CompiledKernel

from attncc.codegen.kernel import KernelSource
from attncc.ir.alibi import slopes
from attncc.ir.schedule import Schedule

#: Descriptors need rows and bases at multiples of so many bytes.
DESCRIPTOR_ALIGNMENT = 16

#: The second and third side of a grid hold no more than this.
MOST_PROGRAMS = 65535

Grid: TypeAlias = tuple[int, int, int]


class Function(Protocol):
    """A `@triton.jit` function, compiled or interpreted."""

    arg_names: list[str]

    def run(self, *arguments: object, grid: Grid, warmup: bool, **options: object) -> object: ...

    def warmup(self, *arguments: object, grid: Grid, **options: object) -> CompiledKernel: ...


@dataclass(frozen=True, slots=True)
class Launcher:
    """The kernel as its callers see it. `slopes`: it asks for the ALiBi slope of each head."""

    source: KernelSource
    function: Function
    slopes: bool

    @staticmethod
    def of(source: KernelSource, module: ModuleType) -> Launcher:
        """The launcher of the kernel in a loaded module."""
        function = getattr(module, source.entry)
        return Launcher(source, function, "slope_ptr" in function.arg_names)

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(out, lse), see CompiledKernel."""
        if query.shape[0] > MOST_PROGRAMS:
            return self._in_parts(query, key, value, scale)
        if scale <= 0:
            query, scale = _positive(query, scale)
        if self.source.schedule["loads"] == "descriptor":
            key, value = _described(key), _described(value)
            triton.set_allocator(_scratch(query.device))
        out = query.new_empty(query.shape)
        lse = query.new_empty(query.shape[:-1], dtype=torch.float32)
        pointers = [query, key, value, out, lse, *([_slopes(query.shape[1], query.device)] if self.slopes else [])]
        strides = [stride for tensor in (query, key, value, out) for stride in tensor.stride()[:3]]
        sizes = query.shape[2], key.shape[2], query.shape[1] // key.shape[1]
        grid = tiles(*sizes[:2], self.source.schedule.number("BLOCK_M")), query.shape[1], query.shape[0]
        with torch.cuda.device(query.device) if query.is_cuda else nullcontext():
            launch = partial(self.function.run, grid=grid, warmup=False, **options(self.source.schedule))
            launch(*pointers, *strides, *sizes, scale)
        return out, lse

    def _in_parts(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        queries, keys, values = (tensor.split(MOST_PROGRAMS) for tensor in (query, key, value))
        results = [self(*part, scale) for part in zip(queries, keys, values, strict=True)]
        return torch.cat([out for out, _ in results]), torch.cat([lse for _, lse in results])


def tiles(q_len: int, kv_len: int, block_m: int) -> int:
    """Query tiles of one head: those that hold a position from kv_len - q_len to kv_len - 1."""
    return (kv_len - 1) // block_m - (kv_len - q_len) // block_m + 1


def options(schedule: Schedule) -> Mapping[str, int | bool]:
    """What the compiler is told besides the source."""
    return {
        "num_warps": schedule.number("num_warps"),
        "num_stages": schedule.number("num_stages"),
        "enable_fp_fusion": True,
    }


@lru_cache(maxsize=64)
def _slopes(q_heads: int, device: torch.device) -> torch.Tensor:
    """float32 [q_heads]: the ALiBi slope of each head."""
    return torch.tensor(slopes(q_heads), dtype=torch.float32, device=device)


def _positive(query: torch.Tensor, scale: float) -> tuple[torch.Tensor, float]:
    """The same scores, exactly, from a scale above 0: the kernel takes the maximum before it scales."""
    return (-query, -scale) if scale < 0 else (query * 0, 1.0)


def _described(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor`, or a copy where a descriptor could not point to it."""
    unit = DESCRIPTOR_ALIGNMENT // tensor.element_size()
    starts = (tensor.data_ptr() // tensor.element_size(), *tensor.stride()[:3])
    aligned = all(start % unit == 0 for start in starts) and tensor.stride(2) >= tensor.shape[3]
    return tensor if aligned else tensor.clone(memory_format=torch.contiguous_format)


def _scratch(device: torch.device) -> triton.runtime._allocation.Allocator:
    def allocate(size: int, alignment: int, stream: int | None) -> torch.Tensor:
        return torch.empty(size, dtype=torch.int8, device=device)

    return allocate
