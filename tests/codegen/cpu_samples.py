"""Kernels of the C backend for small cases, and what they are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from attncc import device
from attncc.codegen import cpu
from attncc.codegen.kernel import CompiledKernel, KernelSource, Phase
from attncc.device import CPU_ARCHES, DeviceModel
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, KnobValue, Operands, Shape
from attncc.passes import run
from attncc.ref import dense
from attncc.spec import load, lower
from tests.codegen import given_samples
from tests.codegen.given_samples import World

HOST = device.host()

#: The instruction sets that this machine has, richest first.
ARCHES = list(CPU_ARCHES)[list(CPU_ARCHES).index(HOST.arch) :]

Tensors = tuple[Tensor, Tensor, Tensor]


def machine(arch: str) -> DeviceModel:
    """The host as if it had nothing better than `arch`."""
    return replace(HOST, arch=arch)


def pattern(name: str, **params: int) -> Pattern:
    return lower.lower(load.find(name), params)


def source(
    pattern: Pattern, operands: Operands, phase: Phase, arch: str, knobs: Mapping[str, KnobValue] | None = None
) -> KernelSource:
    """The built-in schedule with some knobs turned."""
    schedule = cpu.space(operands, phase, machine(arch), pattern.grain()).default()
    for name, value in (knobs or {}).items():
        schedule = schedule.replace(name, value)
    return cpu.emit(run(pattern, cpu.tiling(phase, schedule)), operands, phase, schedule)


def kernel(
    pattern: Pattern, operands: Operands, phase: Phase, arch: str, knobs: Mapping[str, KnobValue] | None = None
) -> CompiledKernel:
    return cpu.build(source(pattern, operands, phase, arch, knobs), machine(arch))


def tensors(shape: Shape, dtype: str, seed: int = 0) -> Tensors:
    """Random query, key and value, as views of [batch, len, heads, head_dim]."""
    generator = torch.Generator().manual_seed(seed)
    sizes = ((shape.q_len, shape.q_heads), (shape.kv_len, shape.kv_heads), (shape.kv_len, shape.kv_heads))
    query, key, value = (
        torch.randn(shape.batch, length, heads, shape.head_dim, generator=generator).transpose(1, 2)
        for length, heads in sizes
    )
    wanted = getattr(torch, dtype)
    return query.to(wanted), key.to(wanted), value.to(wanted)


def check(pattern: Pattern, found: CompiledKernel, given: Tensors, scale: float) -> None:
    """The kernel's error is at most twice that of plain attention in the same dtype, both against float64."""
    query, key, value = given
    out, lse = found(query, key, value, scale)
    exact, exact_lse = dense.attention(pattern, query, key, value, scale)
    plain, plain_lse = dense.attention_rows(
        pattern, query, key, value, scale, torch.arange(query.shape[2]), query.dtype
    )
    compare(out, lse, (exact, exact_lse), (plain, plain_lse))


def check_given(world: World, phase: Phase, dtype: DType, arch: str) -> None:
    """As `check`, for a call with lists or inputs."""
    shape = world.shape
    query, key, value = tensors(shape, dtype)
    scale = shape.head_dim**-0.5
    found = kernel(world.pattern, Operands(dtype, shape.head_dim), phase, arch)
    torch.use_deterministic_algorithms(True)  # what is left unwritten is NaN
    try:
        out, lse = found(query, key, value, scale, world.given())
    finally:
        torch.use_deterministic_algorithms(False)
    exact, exact_lse = given_samples.dense(world, query, key, value, scale, torch.float64)
    plain, plain_lse = given_samples.dense(world, query, key, value, scale, query.dtype)
    compare(out, lse, (exact, exact_lse), (plain, plain_lse))


def compare(out: Tensor, lse: Tensor, exact: tuple[Tensor, Tensor], plain: tuple[Tensor, Tensor]) -> None:
    """Asserts that (out, lse) errs at most twice as much as `plain`, which was computed in the same dtype."""
    met = exact[1] > -torch.inf
    assert torch.equal(lse > -torch.inf, met)
    assert (out[~met] == 0).all()
    rounding = torch.finfo(out.dtype).eps
    for ours, theirs, true in ((out, plain[0], exact[0]), (lse[met], plain[1][met], exact[1][met])):
        assert (ours - true).norm() <= 2 * (theirs - true).norm() + rounding * true.norm()
