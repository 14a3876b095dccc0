"""Tuning from Python: `attncc.tune`, what the command `attncc tune` runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from attncc import check, settings
from attncc.calls import model_of
from attncc.device import DeviceModel
from attncc.errors import BadBudget, BadShape, NoGpu, UnsupportedDType
from attncc.ir.schedule import DTYPES, Operands, Shape
from attncc.library.store import KernelLibrary
from attncc.pattern import Pattern, resolve

if TYPE_CHECKING:
    from attncc.autotune.session import TuneResult


def tune(
    pattern: Pattern | str,
    *,
    shape: tuple[int, int, int, int, int, int],
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str | None = None,
    budget: float = 60,
    library: str | os.PathLike[str] | None = None,
) -> TuneResult:
    """Finds the fastest schedule for calls like `shape`, (batch, q_heads, kv_heads, q_len, kv_len, head_dim), within
    `budget` seconds, and keeps it in the library, where the next call finds it.

    `device` is the current GPU, or the CPU where there is none; `library` a directory, else the user's own. Trials the
    library holds already are not made again. Raises UnsupportedDType, UnsupportedHeadDim, HeadsNotGrouped, BadShape,
    BadBudget, NoGpu, and what `attncc.autotune.tuner.tune` raises.
    """
    from attncc.autotune.beforehand import prior
    from attncc.autotune.budget import Budget
    from attncc.autotune.effort import DEFAULT, EFFORTS
    from attncc.autotune.job import Job, writer_for
    from attncc.autotune.tuner import tune as search

    bound, hardware = resolve(pattern).bound, _hardware(device)
    operands, sizes = _call(shape, dtype)
    if not budget > 0:
        raise BadBudget(budget)
    job = Job(bound, operands, sizes, hardware, writer_for(hardware))
    with KernelLibrary(Path(library) if library else settings.library_path()) as kept:
        return search(
            bound,
            operands,
            sizes,
            hardware,
            library=kept,
            budget=Budget(seconds=budget),
            strategy=EFFORTS[DEFAULT].strategy,
            prior=prior(job, kept),
        )


def _call(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Operands, Shape]:
    if dtype not in check.DTYPE_NAMES:
        raise UnsupportedDType(str(dtype).removeprefix("torch."), DTYPES)
    if len(shape) != 6 or not all(size > 0 for size in shape):
        raise BadShape(shape)
    return Operands(check.DTYPE_NAMES[dtype], shape[5]), Shape(*shape)


def _hardware(device: torch.device | str | None) -> DeviceModel:
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if place.type == "cuda" and not torch.cuda.is_available():
        raise NoGpu()
    return model_of(place)
