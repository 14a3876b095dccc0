"""Tuning from Python: `attncc.tune`, what the command `attncc tune` runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from attncc import check, settings
from attncc.calls import model_of
from attncc.errors import UnsupportedDType
from attncc.ir.schedule import DTYPES, Operands, Shape
from attncc.library.store import KernelLibrary
from attncc.pattern import Pattern

if TYPE_CHECKING:
    from attncc.autotune.session import TuneResult


def tune(
    pattern: Pattern,
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
    library holds already are not made again. Raises UnsupportedDType, UnsupportedHeadDim, HeadsNotGrouped, and what
    `attncc.autotune.tuner.tune` raises.
    """
    from attncc.autotune.budget import Budget
    from attncc.autotune.tuner import tune as search

    if dtype not in check.DTYPE_NAMES:
        raise UnsupportedDType(str(dtype).removeprefix("torch."), DTYPES)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    operands = Operands(check.DTYPE_NAMES[dtype], shape[5])
    with KernelLibrary(Path(library) if library else settings.library_path()) as kept:
        budgeted = Budget(seconds=budget)
        return search(pattern.bound, operands, Shape(*shape), model_of(place), library=kept, budget=budgeted)
