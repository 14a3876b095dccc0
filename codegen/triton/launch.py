"""Calls a kernel with tensors: allocates the results, counts the tiles, passes strides and launch options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from types import ModuleType
from typing import Protocol, TypeAlias

import torch
import triton
from torch import Tensor
from triton.compiler import CompiledKernel

from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton.arguments import Wanted
from attncc.codegen.triton.order import together
from attncc.codegen.triton.passing import part, passed
from attncc.codegen.triton.phases import LEAST_ROWS
from attncc.device import DeviceModel
from attncc.ir.alibi import slopes
from attncc.ir.schedule import Schedule, Shape
from attncc.lists import Given

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
    """The kernel as its callers see it, on the GPU `device`. `described`: it loads keys and values by descriptors."""

    source: KernelSource
    function: Function
    wanted: Wanted
    described: bool
    device: DeviceModel

    @staticmethod
    def of(source: KernelSource, module: ModuleType, device: DeviceModel) -> Launcher:
        """The launcher of the kernel in a loaded module."""
        function = getattr(module, source.entry)
        described = "make_tensor_descriptor" in source.text
        return Launcher(source, function, Wanted.of(function.arg_names), described, device)

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, given: Given | None = None
    ) -> tuple[Tensor, Tensor]:
        """(out, lse), see CompiledKernel."""
        given = given or Given()
        most = max(1, MOST_PROGRAMS // query.shape[1]) if self.wanted.ordered else MOST_PROGRAMS
        if query.shape[0] > most:
            return self._in_parts(query, key, value, scale, given, most)
        if scale <= 0:
            query, scale = positive(query, scale)
        if self.described:
            key, value = described(key), described(value)
            triton.set_allocator(_scratch(query.device))
        out = query.new_empty(query.shape)
        lse = query.new_empty(query.shape[:-1], dtype=torch.float32)
        pointers, sizes = passed(self.wanted, given)
        slopes = [slopes_of(query.shape[1], query.device)] if self.wanted.slopes else []
        strides = [stride for tensor in (query, key, value, out) for stride in tensor.stride()[:3]]
        lengths = query.shape[2], key.shape[2], query.shape[1] // key.shape[1]
        with torch.cuda.device(query.device) if query.is_cuda else nullcontext():
            for grid, counts in self._grids(query, key):
                launch = partial(self.function.run, grid=grid, warmup=False, **options(self.source.schedule))
                launch(query, key, value, out, lse, *slopes, *pointers, *strides, *sizes, *lengths, *counts, scale)
        return out, lse

    def _grids(self, query: Tensor, key: Tensor) -> Iterator[tuple[Grid, tuple[int, ...]]]:
        """The grids, and what the kernel is told of each: the arguments between the sizes of the call and the scale."""
        batch, q_heads, q_len, head_dim = query.shape
        shape = Shape(batch, q_heads, key.shape[1], q_len, key.shape[2], head_dim)
        schedule = self.source.schedule
        of_head = tiles(shape.q_len, shape.kv_len, schedule.number("BLOCK_M"))
        side_by_side = together(shape, self.source.operands.dtype, self.device.l2_mib)
        if self.wanted.ordered:
            for first in range(0, of_head, MOST_PROGRAMS):
                most = min(MOST_PROGRAMS, of_head - first)
                yield (side_by_side, most, batch * q_heads // side_by_side), (q_heads, first)
        elif self.wanted.persistent:
            items = of_head * q_heads * batch
            programs = self.device.units * schedule.number("persistent")
            yield (min(items, programs), 1, 1), (q_heads, of_head, side_by_side, items)
        elif self.wanted.grouped:
            yield (of_head, shape.kv_heads * -(-shape.group // LEAST_ROWS), batch), (q_heads,)
        else:
            yield (of_head, q_heads, batch), ()

    def _in_parts(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, given: Given, most: int
    ) -> tuple[Tensor, Tensor]:
        """So many batches at a time."""
        pieces = [slice(start, start + most) for start in range(0, query.shape[0], most)]
        results = [self(query[piece], key[piece], value[piece], scale, part(given, piece)) for piece in pieces]
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
def slopes_of(q_heads: int, device: torch.device) -> Tensor:
    """float32 [q_heads]: the ALiBi slope of each head."""
    return torch.tensor(slopes(q_heads), dtype=torch.float32, device=device)


def positive(query: Tensor, scale: float) -> tuple[Tensor, float]:
    """The same scores, exactly, from a scale above 0: the kernel takes the maximum before it scales."""
    return (-query, -scale) if scale < 0 else (query * 0, 1.0)


def described(tensor: Tensor) -> Tensor:
    """`tensor`, or a copy where a descriptor could not point to it."""
    unit = DESCRIPTOR_ALIGNMENT // tensor.element_size()
    starts = (tensor.data_ptr() // tensor.element_size(), *tensor.stride()[:3])
    aligned = all(start % unit == 0 for start in starts) and tensor.stride(2) >= tensor.shape[3]
    return tensor if aligned else tensor.clone(memory_format=torch.contiguous_format)


def _scratch(device: torch.device) -> triton.runtime._allocation.Allocator:
    def allocate(size: int, alignment: int, stream: int | None) -> Tensor:
        return torch.empty(size, dtype=torch.int8, device=device)

    return allocate
