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


WRONG: dict[str, tuple[type[errors.AttnccError], dict[str, object], str]] = {
    "head_dim": (errors.UnsupportedHeadDim, {"shape": (1, 2, 2, 8, 8, 7)}, "head_dim is 7"),
    "heads": (errors.HeadsNotGrouped, {"shape": (1, 3, 2, 8, 8, 64)}, "multiple of KV heads"),
    "no queries": (errors.BadShape, {"shape": (1, 2, 2, 0, 8, 64)}, "six positive integers"),
    "short shape": (errors.BadShape, {"shape": (1, 2, 2, 8)}, "six positive integers"),
    "no time": (errors.BadBudget, {"budget": 0}, "above 0"),
    "NaN seconds": (errors.BadBudget, {"budget": float("nan")}, "budget is nan"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_requests_leave_no_library_behind(wrong: str, tmp_path: Path) -> None:
    kind, given, sentence = WRONG[wrong]
    with pytest.raises(kind, match=sentence):
        attncc.tune("causal", **{"shape": SHAPE, "library": tmp_path / "library", **given})
    assert not (tmp_path / "library").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_here() -> None:
    with pytest.raises(errors.NoGpu):
        attncc.tune("causal", shape=SHAPE, device="cuda")


def test_what_no_kernel_can_do_is_refused(tmp_path: Path) -> None:
    pattern = attncc.Pattern.load("causal")
    with pytest.raises(errors.UnsupportedDType, match="float64"):
        attncc.tune(pattern, shape=SHAPE, dtype=torch.float64, library=tmp_path)
