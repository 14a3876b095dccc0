"""Does a launch pass what the kernel asks for, in the order in which it asks?"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor

from attncc import settings
from attncc.codegen.triton.arguments import kind
from attncc.codegen.triton.gluon.build import Launcher
from attncc.codegen.triton.launch import Grid
from attncc.codegen.triton.module import load
from attncc.ir.expr import And
from attncc.ir.pattern import Alibi, Pattern
from attncc.ir.schedule import Shape
from tests.codegen.listed_samples import CAUSAL, SAME, Draw, grid, selected
from tests.codegen.triton_samples import pattern
from tests.gluon.test_lists import made

DTYPES = {"float32": torch.float32, "int32": torch.int32, "int64": torch.int64}


@dataclass
class Recorder:
    """Takes the place of a compiled function."""

    arg_names: list[str]
    calls: list[tuple[tuple[object, ...], Grid]] = field(default_factory=list)

    def run(self, *arguments: object, grid: Grid, warmup: bool, **options: object) -> None:
        self.calls.append((arguments, grid))

    def warmup(self, *arguments: object, grid: Grid, **options: object) -> SimpleNamespace:
        self.calls.append((arguments, grid))
        return SimpleNamespace()


@pytest.mark.parametrize(
    "of",
    [pattern("kv <= q"), grid(64, 64), grid(64, 8), selected(And(CAUSAL, SAME), {}, {"doc": "token"})],
    ids=["runs", "lists", "pieces", "inputs"],
)
@pytest.mark.parametrize("sloped", [False, True])
def test_arguments_are_in_order(of: Pattern, sloped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    of = Pattern(**{name: getattr(of, name) for name in of.__slots__} | {"score": (Alibi(),) * sloped})
    draw = Draw(of, Shape(2, 4, 2, 150, 300, 64), "bfloat16", 2, 2)
    plan, kernel = made(of, (64, 64, 2))
    function = getattr(load(kernel, settings.cache_dir()), kernel.entry)
    recorder, inputs, given = Recorder(list(function.arg_names)), draw.inputs, draw.given(plan.lists)
    Launcher(kernel, recorder)(inputs.query, inputs.key, inputs.value, 0.125, given)
    ((arguments, where),) = recorder.calls
    assert where == (3, 4, 2)
    assert len(arguments) == len(function.arg_names)
    passed = dict(zip(function.arg_names, arguments, strict=True))
    for name, found in passed.items():
        if name.endswith("_desc"):
            assert isinstance(found, TensorDescriptor)
            assert found.block_shape[2] == {"key_pieces_desc": 8, "value_pieces_desc": 8}.get(name, 64)
            continue
        assert found.dtype == DTYPES[kind(name)] if isinstance(found, torch.Tensor) else kind(name) in ("size", "scale")
    assert (passed["q_len"], passed["kv_len"], passed["group"], passed["scale"]) == (150, 300, 2, 0.125)
    for name, one in given.lists.items():
        assert passed[f"{name}_list_heads"] == one.start.shape[1]
        assert passed[f"{name}_count_ptr"] is one.count
