"""From a Gluon module to a kernel that runs on the Hopper GPU of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
import triton
from torch import Tensor
from triton.errors import TritonError
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor

from attncc.codegen.kernel import CompiledKernel, KernelSource
from attncc.codegen.triton.arguments import Kind, Wanted, kind
from attncc.codegen.triton.gluon.emit import piece
from attncc.codegen.triton.gluon.registers import ROWS
from attncc.codegen.triton.gluon.static import layout, options
from attncc.codegen.triton.launch import MOST_PROGRAMS, Function, described, positive, slopes_of, tiles
from attncc.codegen.triton.module import load
from attncc.codegen.triton.passing import part, passed
from attncc.device import DeviceModel
from attncc.errors import CompilationFailed, NoGpu
from attncc.lists import Given
from attncc.settings import cache_dir


def build(source: KernelSource, device: DeviceModel) -> CompiledKernel:
    """The kernel; compiled at its first call for good, and here once, so that what is wrong is said now.

    Raises NoGpu, CompilationFailed if Triton refuses it, and what `settings.cache_dir` raises.
    """
    if not torch.cuda.is_available():
        raise NoGpu
    launcher = Launcher(source, getattr(load(source, cache_dir()), source.entry))
    try:
        launcher.warm_up()
    except (TritonError, RuntimeError, ValueError) as error:
        raise CompilationFailed(source.pattern, f"triton {triton.__version__}", str(error)) from error
    return launcher


#: What arguments are like in nearly every call, if they are no descriptors.
TYPICAL: Mapping[Kind, torch.dtype | int | float] = {
    "float32": torch.float32, "int32": torch.int32, "int64": torch.int64, "size": 4096, "scale": 1.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Launcher:
    """The kernel as its callers see it."""

    source: KernelSource
    function: Function

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, given: Given | None = None
    ) -> tuple[Tensor, Tensor]:
        """(out, lse), see CompiledKernel."""
        given = given or Given()
        if query.shape[0] > MOST_PROGRAMS:
            parts = [slice(start, start + MOST_PROGRAMS) for start in range(0, query.shape[0], MOST_PROGRAMS)]
            results = [self(query[some], key[some], value[some], scale, part(given, some)) for some in parts]
            return torch.cat([out for out, _ in results]), torch.cat([lse for _, lse in results])
        if scale <= 0:
            query, scale = positive(query, scale)
        query, key, value = described(query), described(key), described(value)
        out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        lse = query.new_empty(query.shape[:-1], dtype=torch.float32)
        wanted = Wanted.of(self.function.arg_names)
        pointers, sizes = passed(wanted, given)
        slopes = [slopes_of(query.shape[1], query.device)] if wanted.slopes else []
        lengths = query.shape[2], key.shape[2], query.shape[1] // key.shape[1]
        grid = (tiles(query.shape[2], key.shape[2], self._number("BLOCK_M")), query.shape[1], query.shape[0])
        with torch.cuda.device(query.device):
            launch = partial(self.function.run, grid=grid, warmup=False, **options(self.source))
            launch(*self._described(query, key, value, out), lse, *slopes, *pointers, *sizes, *lengths, scale)
        return out, lse

    def warm_up(self) -> None:
        """Compiles for a call of one tile."""
        element, head_dim = getattr(torch, self.source.operands.dtype), self.source.operands.head_dim
        query, out = (torch.empty(1, 1, ROWS, head_dim, dtype=element, device="cuda") for _ in range(2))
        key, value = (torch.empty(1, 1, self._number("BLOCK_N"), head_dim, dtype=element, device="cuda") for _ in "kv")
        more = [TYPICAL[kind(name)] for name in self.function.arg_names if not name.endswith("_desc")]
        self.function.warmup(*self._described(query, key, value, out), *more, grid=(1, 1, 1), **options(self.source))

    def _described(self, query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> tuple[TensorDescriptor, ...]:
        block_n = self._number("BLOCK_N")
        pairs = [(query, ROWS), (key, block_n), (value, block_n), (out, ROWS)]
        rows = piece(self.source)
        pairs += [] if rows is None else [(key, rows), (value, rows)]
        return tuple(_description(tensor, rows) for tensor, rows in pairs)

    def _number(self, knob: str) -> int:
        return self.source.schedule.number(knob)


def _description(tensor: Tensor, rows: int) -> TensorDescriptor:
    return TensorDescriptor.from_tensor(tensor, [1, 1, rows, tensor.shape[3]], layout())
