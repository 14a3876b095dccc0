"""Runs a generated kernel on CPU tensors in Triton's interpreter: slow, for its numbers only."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import triton
import triton.experimental.gluon  # Triton imports it at the first launch, which must not see the changed language
import triton.language as tl
import triton.runtime.interpreter as machine
from torch import Tensor
from triton.runtime.jit import JITFunction

from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton.launch import Launcher
from attncc.codegen.triton.module import load
from attncc.device import DeviceModel
from attncc.lists import Given

#: The interpreter changes triton.language for the whole process while it runs.
ALONE = threading.Lock()

#: What kernels are launched for: few units, so that each program of a persistent kernel has several tiles.
SMALL = DeviceModel("cuda", "interpreter", "none", units=3, present=True)

Bits = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Interpreted:
    """A CompiledKernel for CPU tensors; about 5 ms a program and 3 ms a tile."""

    source: KernelSource
    launcher: Launcher

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, given: Given | None = None
    ) -> tuple[Tensor, Tensor]:
        """(out, lse), see CompiledKernel."""
        with _interpreting():
            return self.launcher(query, key, value, scale, given)


def interpreted(source: KernelSource, folder: Path, device: DeviceModel = SMALL) -> Interpreted:
    """The kernel for CPU tensors, launched as on `device`; `folder` is private to the user and keeps the module."""
    with triton.knobs.runtime.scope():
        triton.knobs.runtime.interpret = True
        module = load(source, folder, variant="_interpreted")
    return Interpreted(source, Launcher.of(source, module, device))


@contextmanager
def _interpreting() -> Iterator[None]:
    """Triton's language and interpreter as generated kernels need them; as they were before, afterwards."""
    with ALONE, np.errstate(all="ignore"):
        owners = _owners()
        before = [dict(vars(owner)) for owner in owners]
        try:
            _open_library(owners)
            _mend_interpreter()
            _mend_constants()
            yield
        finally:
            machine.InterpretedFunction.rewritten_fn.clear()
            for owner, found in zip(owners, before, strict=True):
                _restore(owner, found)


def _owners() -> list[ModuleType | type]:
    """Everything whose attributes change while the interpreter runs."""
    modules = [module for name, module in sys.modules.items() if f"{name}.".startswith("triton.language.")]
    classes = [
        found for found in vars(tl.core).values() if isinstance(found, type) and found.__module__ == tl.core.__name__
    ]
    return [*modules, *classes, machine, machine.InterpreterBuilder]


def _restore(owner: ModuleType | type, before: dict[str, object]) -> None:
    for name in set(vars(owner)) - set(before):
        delattr(owner, name)
    for name, value in before.items():
        if vars(owner).get(name) is not value:
            setattr(owner, name, value)


def _open_library(owners: list[ModuleType | type]) -> None:
    """Lets the compiled part of triton.language (sum, max, zeros, ...) be called by interpreted kernels."""
    for owner in owners:
        for name, found in list(vars(owner).items()):
            if isinstance(found, JITFunction):
                function = machine.InterpretedFunction(found.fn)
                setattr(owner, name, function if isinstance(owner, ModuleType) else _method(function))


def _method(function: Callable[..., object]) -> Callable[..., object]:
    """A function that binds to its object, which an InterpretedFunction does not."""
    return lambda *arguments, **named: function(*arguments, **named)


def _mend_interpreter() -> None:
    """bfloat16 products and rounding as on a GPU; patches triton.language once a run and not once a call."""
    create_dot, convert, patch, patch_tensor = (
        machine.InterpreterBuilder.create_dot,
        machine._convert_float,
        machine._patch_lang,
        machine._patch_lang_tensor,
    )
    patched: set[frozenset[str]] = set()

    def dot(builder: object, left: machine.TensorHandle, right: machine.TensorHandle, *rest: object) -> object:
        return create_dot(builder, _widened(left), _widened(right), *rest)

    def converted(bits: Bits, source: tl.dtype, target: tl.dtype, *rest: object) -> Bits:
        to_bfloat16 = source == tl.float32 and target == tl.bfloat16
        return _nearest_bfloat16(bits) if to_bfloat16 else convert(bits, source, target, *rest)

    def patch_once(function: Callable[..., object]) -> object:
        seen = frozenset(name for name, found in function.__globals__.items() if found in (tl, tl.core))
        if seen not in patched:
            patched.add(seen)
            patch(function)
        return machine._LangPatchScope()

    def tensor_patch(tensor: type, scope: machine._LangPatchScope) -> None:
        patch_tensor(tensor, scope)
        # Triton 3.6 asks numpy for the int of an array with one element, which numpy 2.4 refuses.
        scope.set_attr(tensor, "__index__", lambda number: int(number.handle.data.reshape(-1)[0]))

    machine.InterpreterBuilder.create_dot = dot
    machine._convert_float = converted
    machine._patch_lang = patch_once
    machine._patch_lang_tensor = tensor_patch


def _mend_constants() -> None:
    """`CONSTANT * tensor` is left to the tensor, as the compiler does; the interpreter would make a constant of it."""
    for name in ("add", "sub", "mul", "floordiv", "mod", "lt", "le", "gt", "ge", "eq", "ne"):
        method = f"__{name}__"
        setattr(tl.constexpr, method, _yielding(getattr(tl.constexpr, method)))


def _yielding(operation: Callable[[object, object], object]) -> Callable[[object, object], object]:
    return lambda left, right: NotImplemented if isinstance(right, tl.tensor) else operation(left, right)


def _widened(handle: machine.TensorHandle) -> machine.TensorHandle:
    """bfloat16 lives in uint16 there, which would be multiplied as integers."""
    if handle.dtype.scalar != tl.bfloat16:
        return handle
    bits = handle.data.astype(np.uint32) << 16
    return machine.TensorHandle(bits.view(np.float32), tl.float32)


def _nearest_bfloat16(values: Bits) -> Bits:
    """float32 to the bits of the nearest bfloat16, ties to even, NaN kept."""
    bits = np.ascontiguousarray(values).view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)
