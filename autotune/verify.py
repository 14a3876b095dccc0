"""Does a kernel compute what its pattern means, and the same twice? It may err twice as much as plain attention in its
dtype, and not at all from call to call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from attncc.autotune.inputs import Inputs
from attncc.codegen.kernel import CompiledKernel
from attncc.ir.pattern import Pattern
from attncc.lists import NOTHING
from attncc.ref.dense import attention_rows

#: Above so many scores, a sample of rows is compared instead of all; a GPU has time for more.
MOST_SCORES: Final = 1 << 24
MORE_ON_GPU: Final = 8
SAMPLED_ROWS: Final = 64
#: A kernel may err twice as much as plain attention in its dtype, the rule of flash-attn's own tests.
FACTOR: Final = 2.0
#: Kernels sum powers of 2 in float32, rescale and divide, or return to base e: three more roundings of the result.
BASE_ROUNDINGS: Final = 3
#: Integers of the sizes of floats, to compare them by.
BITS: Final = {2: torch.int16, 4: torch.int32}


@dataclass(frozen=True, slots=True)
class Agreement:
    """The largest differences from float64, of out and of lse, and what was allowed.

    `worst` is the (batch, head, row) of the largest difference of out; NaN is infinitely wrong. `rows` query rows
    of each head were compared. `changed` counts the entries of out and lse to which a second call gave other bits.
    """

    error: float
    allowed: float
    lse_error: float
    lse_allowed: float
    worst: tuple[int, int, int]
    rows: int
    changed: int = 0

    @property
    def right(self) -> bool:
        return self.error <= self.allowed and self.lse_error <= self.lse_allowed

    @property
    def holds(self) -> bool:
        return self.right and not self.changed

    def __str__(self) -> str:
        batch, head, row = self.worst
        out = f"out differs by {self.error:.2e} (allowed {self.allowed:.2e}) at batch {batch}, head {head}, row {row}"
        lse = f"lse differs by {self.lse_error:.2e} (allowed {self.lse_allowed:.2e})"
        return "; ".join((out, lse, *((f"a second call changed {self.changed} entries",) if self.changed else ())))


@dataclass(frozen=True, slots=True)
class Oracle:
    """The rows that are compared, their float64 result, and the largest errors that a kernel may make there."""

    rows: torch.Tensor
    out: torch.Tensor
    lse: torch.Tensor
    allowed: float
    lse_allowed: float


def oracle(pattern: Pattern, inputs: Inputs, seed: int = 0) -> Oracle:
    """The reference for `inputs`, on all query rows or, for a large call, on a sample with the first and the last."""
    rows = _rows(inputs, seed)
    call = pattern, inputs.query, inputs.key, inputs.value, inputs.scale, rows
    given = inputs.given or NOTHING
    out, lse = attention_rows(*call, given=given)
    plain_out, _ = attention_rows(*call, inputs.query.dtype, given)
    # lse is float32 in every kernel, so its plain reference is too.
    _, plain_lse = attention_rows(*call, torch.float32, given)
    base = BASE_ROUNDINGS * half_unit(torch.float32)
    # A sum of weights that were rounded to the dtype is off by that much of itself, its logarithm by that much.
    weights = half_unit(inputs.query.dtype)
    lse_allowed = _allowed(plain_lse, lse) + base * _size(lse) + weights
    # Of a few keys the plain reference may be right by luck; a kernel's own steps in float32 still round.
    return Oracle(rows, out, lse, _allowed(plain_out, out) + base * _size(out), lse_allowed)


def half_unit(dtype: torch.dtype) -> float:
    """The relative error of one rounding."""
    return torch.finfo(dtype).eps / 2


def verify(kernel: CompiledKernel, inputs: Inputs, expected: Oracle) -> Agreement:
    """How far `kernel` is from `expected`, for the inputs that `expected` was made from; called twice."""
    (out, lse), again = call(kernel, inputs), call(kernel, inputs)
    error, (batch, head, row, _) = _largest(out[:, :, expected.rows], expected.out)
    lse_error, _ = _largest(lse[:, :, expected.rows], expected.lse)
    worst = batch, head, int(expected.rows[row])
    changed = sum(_changed(first, second) for first, second in zip((out, lse), again, strict=True))
    return Agreement(error, expected.allowed, lse_error, expected.lse_allowed, worst, len(expected.rows), changed)


def call(kernel: CompiledKernel, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
    """(out, lse) of one call."""
    if inputs.given is None:
        return kernel(inputs.query, inputs.key, inputs.value, inputs.scale)
    return kernel(inputs.query, inputs.key, inputs.value, inputs.scale, inputs.given)


def _changed(first: torch.Tensor, second: torch.Tensor) -> int:
    """How many entries differ by any bit; NaN is like itself."""
    bits = BITS[first.element_size()]
    return int((first.view(bits) != second.view(bits)).sum())


def _allowed(plain: torch.Tensor, exact: torch.Tensor) -> float:
    """Where the plain reference happens to be exact, what rounding the largest result once may cost counts instead."""
    return FACTOR * max(_largest(plain, exact)[0], half_unit(plain.dtype) * _size(exact))


def _size(exact: torch.Tensor) -> float:
    """The largest magnitude, infinities aside."""
    return float(exact.masked_fill(exact.isinf(), 0.0).abs().max())


def _largest(actual: torch.Tensor, exact: torch.Tensor) -> tuple[float, list[int]]:
    """The largest absolute difference and where it is; equal infinities differ by 0, NaN by infinity."""
    difference = (actual.double() - exact).abs()
    difference = difference.masked_fill(actual.double() == exact, 0.0).nan_to_num(nan=torch.inf)
    at = int(difference.argmax())
    return float(difference.flatten()[at]), [int(index) for index in torch.unravel_index(torch.tensor(at), exact.shape)]


def _rows(inputs: Inputs, seed: int) -> torch.Tensor:
    batch, q_heads, q_len, _ = inputs.query.shape
    device = inputs.query.device
    most = MOST_SCORES if device.type == "cpu" else MOST_SCORES * MORE_ON_GPU
    if batch * q_heads * q_len * inputs.key.shape[2] <= most:
        return torch.arange(q_len, device=device)
    count = min(SAMPLED_ROWS, max(2, most // (batch * q_heads * inputs.key.shape[2])))
    drawn = torch.randperm(q_len, generator=torch.Generator().manual_seed(seed))[:count]
    drawn[:2] = torch.tensor([0, q_len - 1])[: len(drawn)]
    return torch.tensor(sorted(set(drawn.tolist())), device=device)
