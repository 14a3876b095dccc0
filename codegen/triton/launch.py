"""Calls a kernel with tensors: allocates the results, counts the tiles, passes strides and launch options."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Protocol

import torch
import triton

from attncc.codegen.kernel import KernelSource
from attncc.ir.schedule import Schedule

#: Descriptors need rows and bases at multiples of so many bytes.
DESCRIPTOR_ALIGNMENT = 16

Grid = tuple[int, int, int]


class Function(Protocol):
    """A `@triton.jit` function, compiled or interpreted."""

    def run(self, *arguments: object, grid: Grid, warmup: bool, **options: object) -> object: ...


@dataclass(frozen=True, slots=True)
class Launcher:
    """A CompiledKernel. `slopes`: the kernel asks for the ALiBi slope of each head."""

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
        if self.source.schedule["loads"] == "descriptor":
            key, value = _described(key), _described(value)
            triton.set_allocator(_scratch(query.device))
        out = torch.empty_like(query)
        lse = torch.empty(query.shape[:-1], dtype=torch.float32, device=query.device)
        pointers = [query, key, value, out, lse, *([slopes(query.shape[1], query.device)] if self.slopes else [])]
        strides = [stride for tensor in (query, key, value, out) for stride in tensor.stride()[:3]]
        q_len, kv_len, group = query.shape[2], key.shape[2], query.shape[1] // key.shape[1]
        grid = (tiles(q_len, kv_len, self.source.schedule.number("BLOCK_M")), query.shape[1], query.shape[0])
        with torch.cuda.device(query.device) if query.is_cuda else nullcontext():
            self.function.run(
                *pointers, *strides, q_len, kv_len, group, scale, grid=grid, warmup=False, **options(self.source.schedule)
            )
        return out, lse


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
def slopes(q_heads: int, device: torch.device) -> torch.Tensor:
    """float32 [q_heads]: the ALiBi slopes of Press et al. (arXiv 2108.12409), section 3 and its reference code for head
    counts that are not powers of two."""
    whole = 1 << (q_heads.bit_length() - 1)
    ratio = [2.0 ** (-8.0 * (at + 1) / whole) for at in range(whole)]
    between = [2.0 ** (-4.0 * (2 * at + 1) / whole) for at in range(q_heads - whole)]
    return torch.tensor(ratio + between, dtype=torch.float32, device=device)


def _described(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor`, or a copy where a descriptor could not point to it."""
    unit = DESCRIPTOR_ALIGNMENT // tensor.element_size()
    aligned = tensor.data_ptr() % DESCRIPTOR_ALIGNMENT == 0 and all(stride % unit == 0 for stride in tensor.stride()[:3])
    return tensor if aligned else tensor.clone(memory_format=torch.contiguous_format)


def _scratch(device: torch.device) -> triton.runtime._allocation.Allocator:
    def allocate(size: int, alignment: int, stream: int | None) -> torch.Tensor:
        return torch.empty(size, dtype=torch.int8, device=device)

    return allocate
