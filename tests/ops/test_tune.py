"""Does `attncc.tune` do what `attncc tune` does, and does the next call find it?"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import attncc
from attncc import compiler, errors
from attncc.calls import model_of
from attncc.ir.schedule import Operands, Shape
from attncc.library.store import KernelLibrary

SHAPE = (1, 1, 1, 64, 64, 16)


def test_a_decision_is_kept_and_found(tmp_path: Path) -> None:
    pattern = attncc.Pattern.load("causal")
    result = attncc.tune(pattern, shape=SHAPE, dtype=torch.float32, budget=2, library=tmp_path / "library")
    key = compiler.key(pattern.bound, Operands("float32", 16), Shape(*SHAPE), model_of(torch.device("cpu")))
    with KernelLibrary(tmp_path / "library") as store:
        assert store.decision(key) == result.entry


def test_what_no_kernel_can_do_is_refused(tmp_path: Path) -> None:
    pattern = attncc.Pattern.load("causal")
    with pytest.raises(errors.UnsupportedDType, match="float64"):
        attncc.tune(pattern, shape=SHAPE, dtype=torch.float64, library=tmp_path)
