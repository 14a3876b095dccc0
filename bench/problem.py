"""The tensors of a case, how much work it is, and how wrong an answer is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from attncc import compiler, passes
from attncc.calls import model_of
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands
from attncc.ir.tile import TilePlan
from attncc.lists import NOTHING, Given
from attncc.ref import dense
from attncc.report.record import Workload
from attncc.report.work import work
from attncc.spec import load, lower
from bench.cases import Case
from bench.peers import Problem

SEED = 20261123
#: Rows that are compared with float64: the first and the last, where tiles are ragged, and some between.
SAMPLED_ROWS = 48


def problem(case: Case, place: str = "cpu") -> Problem:
    """Normally distributed query, key and value, the same at every run; `place` is `cpu` or `cuda`."""
    shape, generator = case.shape, torch.Generator().manual_seed(SEED)
    query_size = (shape.batch, shape.q_heads, shape.q_len, shape.head_dim)
    key_size = (shape.batch, shape.kv_heads, shape.kv_len, shape.head_dim)
    sizes, dtype = (query_size, key_size, key_size), getattr(torch, case.dtype)
    query, key, value = (torch.randn(size, generator=generator).to(place, dtype) for size in sizes)
    params = dict(case.params)
    return Problem(lower.lower(load.find(case.pattern), params), params, shape, query, key, value)


def workload(case: Case, posed: Problem) -> Workload:
    """The case with its useful pairs, and the pairs that the built-in schedule of the device visits."""
    found = work(plan(case, posed), case.shape)
    return Workload(case.name, case.pattern, case.params, case.shape, case.dtype, found.kept, found.visited)


def plan(case: Case, posed: Problem) -> TilePlan:
    """The plan of the kernel that serves the case without tuning."""
    hardware, operands = model_of(posed.query.device), Operands(case.dtype, case.shape.head_dim)
    backend = compiler.backend_of(hardware)
    phase = backend.phase(case.shape, posed.pattern.grain())
    schedule = compiler.built_in(posed.pattern, operands, phase, hardware)
    return passes.run(posed.pattern, backend.tiling(phase, schedule))


def sampled_error(posed: Problem, out: Tensor) -> float:
    """The relative error norm of `out` on some rows, against float64."""
    return error_of(posed.pattern, (posed.query, posed.key, posed.value), out)


def error_of(pattern: Pattern, tensors: tuple[Tensor, Tensor, Tensor], out: Tensor, given: Given = NOTHING) -> float:
    """The same for query, key and value, and what a pattern is given besides."""
    query, key, value = (tensor.cpu() for tensor in tensors)
    rows = _rows(query.shape[2])
    expected, _ = dense.attention_rows(pattern, query, key, value, query.shape[3] ** -0.5, rows, given=given)
    return float((out.cpu()[:, :, rows].double() - expected).norm() / expected.norm())


def _rows(q_len: int) -> Tensor:
    if q_len <= SAMPLED_ROWS:
        return torch.arange(q_len)
    ends = SAMPLED_ROWS // 3
    between = np.random.default_rng(SEED).choice(np.arange(ends, q_len - ends), ends, replace=False)
    return torch.cat([torch.arange(ends), torch.from_numpy(np.sort(between)), torch.arange(q_len - ends, q_len)])
