"""Runs a Gluon kernel on the CPU, its partitions in turns: barriers, copies and products that are not at once.

What a copy brings lands some time, and until then its destination is poison; a product reads its operands in shared
memory when it is waited for, and notices when they were not there at its start or have changed since. What is not
modelled: layouts, registers, what the assembler makes of it.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import torch
from torch import Tensor

from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton.arguments import Wanted
from attncc.codegen.triton.gluon.emit import piece
from attncc.codegen.triton.gluon.machine import Barrier, Description, Product, Ring, Run, Shared, View
from attncc.codegen.triton.gluon.registers import ROWS
from attncc.codegen.triton.gluon.turns import Fault, Turns
from attncc.codegen.triton.launch import tiles
from attncc.codegen.triton.passing import passed
from attncc.ir.alibi import slopes
from attncc.lists import Given


class _Id(int):
    """A program id, which knows how to become wider."""

    def to(self, dtype: object) -> _Id:
        return self


def simulate(
    source: KernelSource,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    given: Given | None = None,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """(out, lse) of the kernel, see CompiledKernel. Raises Fault for what would hang or read what is not there.

    The programs of a call take their turns in all the ways that there are, beginning with that of the `seed`.
    """
    block_m, block_n = source.schedule.number("BLOCK_M"), source.schedule.number("BLOCK_N")
    batch, q_heads, q_len, _ = query.shape
    out, lse = torch.full_like(query, torch.nan), torch.full(query.shape[:3], torch.nan)
    pairs, rows = [(query, ROWS), (key, block_n), (value, block_n), (out, ROWS)], piece(source)
    pairs += [] if rows is None else [(key, rows), (value, rows)]
    described = [Description(one, (1, 1, many, one.shape[3])) for one, many in pairs]
    pointers, sizes = passed(Wanted.of(_arguments(source)), given or Given())
    sloped = [torch.tensor(slopes(q_heads))] if "slope_ptr" in source.text else []
    flat = [_Pointer(one.view(-1), 0) for one in (lse, *sloped, *pointers)]
    chance, grid = random.Random(seed), (tiles(q_len, key.shape[2], block_m), q_heads, batch)
    places = ((x, y, z) for z in range(batch) for y in range(q_heads) for x in range(grid[0]))
    for number, place in enumerate(places, seed):
        entry = _loaded(source, Run(grid, place, Turns(chance, number)))
        entry(*described, *flat, *sizes, q_len, key.shape[2], q_heads // key.shape[1], scale)
    return out, lse


def _arguments(source: KernelSource) -> list[str]:
    """The arguments of the kernel."""
    found = re.search(rf"def {source.entry}\((.*?)\):", source.text, re.DOTALL)
    assert found is not None, "the module defines its kernel"
    return re.findall(r"\w+", found[1])


def _loaded(source: KernelSource, run: Run) -> Callable[..., None]:
    """The kernel over stand-ins for the language."""
    text = re.sub(r"^from triton[^(\n]*(\([^)]*\)|.*)$", "", source.text, flags=re.MULTILINE)
    names: dict[str, object] = {**_language(run)}
    exec(compile(text, f"<{source.entry}, simulated>", "exec"), names)
    entry = names[source.entry]
    assert callable(entry), "the module defines its kernel"
    return entry


@dataclass(frozen=True, slots=True)
class _Pointer:
    """A flat tensor and a place in it."""

    tensor: Tensor
    at: int | Tensor

    def __add__(self, more: int | Tensor) -> _Pointer:
        return _Pointer(self.tensor, self.at + more)


def _language(run: Run) -> Mapping[str, object]:
    """The names that a generated module imports."""

    def decorated(function: object = None, **_: object) -> object:
        return function if function is not None else decorated

    numbers = {
        "int32": torch.int32, "int64": torch.int64, "float32": torch.float32,
        "constexpr": lambda value: value, "static_range": range, "BlockedLayout": _nothing,
        "program_id": lambda axis: _Id(run.place[axis]), "num_programs": lambda axis: run.programs[axis],
        "NVMMADistributedLayout": _nothing, "SliceLayout": _nothing, "DotOperandLayout": _nothing,
        "arange": lambda first, stop, _: torch.arange(first, stop), "zeros": lambda shape, dtype, _: torch.zeros(shape),
        "full": lambda shape, filling, dtype, _: torch.full(shape, filling), "cdiv": lambda a, b: -(-a // b),
        "maximum": _larger, "minimum": _smaller, "where": _where, "abs": abs, "exp2": torch.exp2, "log2": torch.log2,
        "max": lambda x, axis: x.amax(axis), "sum": _sum,
        "convert_layout": lambda x, _: _whole(x), "load": _load,
        "inline_asm_elementwise": lambda text, constraints, given, **_: given[0],
        "allocate_shared_memory": lambda dtype, shape, _: _allocated(run, dtype, shape), "store": _store,
        "warp_specialize": lambda partitions, warps, registers: _specialize(run, partitions),
    }  # fmt: skip
    barriers = {
        "MBarrierLayout": _nothing, "init": lambda bar, count: bar.init(count),
        "wait": lambda bar, phase: bar.wait(int(phase)), "expect": lambda bar, size: bar.arrive(1, size),
        "arrive": lambda bar, count: _arrive(run, bar, count),
    }  # fmt: skip
    copies = {
        "async_load": lambda desc, at, bar, to: _copy_in(run, desc, at, bar, to),
        "async_store": lambda desc, at, view: _copy_out(desc, at, view), "store_wait": _nothing,
    }  # fmt: skip
    return {
        "gluon": SimpleNamespace(jit=decorated), "gl": SimpleNamespace(**numbers),
        "mbarrier": SimpleNamespace(**barriers), "tma": SimpleNamespace(**copies), "fence_async_shared": _fence,
        "warpgroup_mma": lambda *operands, **how: _multiply(run, *operands, **how),
        "warpgroup_mma_wait": lambda left, deps: _wait(run, left, deps),
    }  # fmt: skip


def _nothing(*_: object, **__: object) -> None:
    return None


def _arrive(run: Run, barrier: Barrier, count: int) -> None:
    barrier.arrive(count)
    run.turns.turn()


def _larger(a: Tensor | float, b: Tensor | float) -> Tensor | float:
    return _both(torch.maximum, max, a, b)


def _smaller(a: Tensor | float, b: Tensor | float) -> Tensor | float:
    return _both(torch.minimum, min, a, b)


def _both(
    tensors: Callable[[Tensor, Tensor], Tensor],
    plain: Callable[[float, float], float],
    a: Tensor | float,
    b: Tensor | float,
) -> Tensor | float:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return tensors(torch.as_tensor(a), torch.as_tensor(b))
    return plain(a, b)


def _where(condition: Tensor | bool, yes: Tensor | float, no: Tensor | float) -> Tensor | float:
    if isinstance(condition, Tensor):
        return torch.where(condition, yes, no)
    return yes if condition else no


def _sum(tensor: Tensor, axis: int) -> Tensor | float:
    """A sum of everything is a number: numbers are never changed in place."""
    found = tensor.sum(axis)
    return found if found.dim() else found.item()


def _whole(value: object) -> Tensor:
    if not isinstance(value, Tensor):
        raise Fault("a product is read before it is waited for")
    return value


def _allocated(run: Run, dtype: torch.dtype, shape: Sequence[int]) -> Ring | Barrier:
    if len(shape) == 1:
        return Barrier(run.turns)
    if len(shape) == 2:
        return Ring([Barrier(run.turns) for _ in range(shape[0])])
    return Ring([Shared(torch.full(tuple(shape[1:]), torch.nan, dtype=dtype)) for _ in range(shape[0])])


def _copy_in(run: Run, desc: Description, at: Sequence[int], barrier: Barrier, view: View) -> None:
    memory, rows = view.memory, view.rows()
    rows.fill_(torch.nan)
    memory.version += 1
    memory.under_way += 1
    found, where = desc.parts(at)

    def land() -> None:
        rows.zero_()
        rows[where] = found
        memory.under_way -= 1
        barrier.land(rows.numel() * rows.element_size())

    run.turns.copies.append(land)


#: Whether each thread has made what it wrote visible to copies.
_fences = threading.local()


def _fence() -> None:
    _fences.done = True


def _copy_out(desc: Description, at: Sequence[int], view: View) -> None:
    if not getattr(_fences, "done", False):
        raise Fault("a copy reads what was not made visible to it")
    found, where = desc.parts(at)
    found.copy_(view.memory.data[0, 0, where])


def _multiply(
    run: Run, left: Tensor | View, right: View, acc: Tensor, use_acc: bool = True, is_async: bool = False
) -> Product:
    assert is_async, "products run while their warps go on"
    views = [one for one in (left, right) if isinstance(one, View)]
    if not all(one.memory.landed for one in views):
        raise Fault("a product begins before its operands are there")
    _whole(acc)
    start = acc if use_acc else torch.zeros_like(acc)
    product = Product(left, right, start, tuple(one.memory.version for one in views))
    run.under_way().append(product)
    run.turns.turn()
    return product


def _wait(run: Run, left: int, deps: Sequence[Product]) -> Tensor:
    under_way = run.under_way()
    (wanted,) = deps
    if wanted not in under_way:
        raise Fault("a product is waited for twice")
    done = under_way[: len(under_way) - left]
    if wanted not in done:
        raise Fault("a product is read before it is done")
    del under_way[: len(done)]
    results = {id(product): product.result() for product in done}
    for product in done:
        if product is not wanted:
            raise Fault("the result of a product is thrown away")
    return results[id(wanted)]


def _specialize(run: Run, partitions: Sequence[tuple[Callable[..., None], Sequence[object]]]) -> None:
    run.turns.run([partial(_partition, function, given) for function, given in partitions])


def _partition(function: Callable[..., None], given: Sequence[object]) -> None:
    _fences.done = False
    function(*given)


def _load(pointer: _Pointer, mask: Tensor | bool = True, other: float = 0) -> Tensor | float:
    at = pointer.at
    if not isinstance(at, Tensor):
        return pointer.tensor[at].item() if mask else other
    there = torch.as_tensor(mask).expand(at.shape)
    if bool((at[there] < 0).any()):
        raise Fault("something is read that lies before its tensor")
    found = torch.full(at.shape, other, dtype=pointer.tensor.dtype)
    found[there] = pointer.tensor[at[there]]
    return found


def _store(pointer: _Pointer, value: Tensor, mask: Tensor) -> None:
    at = torch.as_tensor(pointer.at)
    pointer.tensor[at[mask]] = value[mask]
