"""On a real GPU: is every pattern what float64 says, and the same twice?"""

from __future__ import annotations

import pytest
import torch

from attncc import compiler
from attncc.autotune.inputs import random_inputs
from attncc.autotune.verify import call, oracle, verify
from attncc.calls import model_of
from attncc.ir.schedule import DType, Operands, Shape
from attncc.spec import load, lower

pytestmark = pytest.mark.gpu

SHAPES = (Shape(2, 8, 2, 1000, 1000, 128), Shape(1, 8, 2, 130, 777, 64), Shape(1, 8, 8, 1, 2000, 80))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", load.shipped())
def test_every_pattern(name: str, dtype: DType, shape: Shape) -> None:
    pattern, device = lower.lower(load.find(name), {}), model_of(torch.device("cuda"))
    inputs = random_inputs(shape, dtype, "cuda", pattern=pattern)
    kernel = compiler.kernel(pattern, Operands(dtype, shape.head_dim), shape, device)
    agreement = verify(kernel, inputs, oracle(pattern, inputs))
    assert agreement.holds, str(agreement)
    first, second = call(kernel, inputs), call(kernel, inputs)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
