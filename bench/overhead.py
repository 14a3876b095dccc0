"""What does an operator cost above its bare kernel? One thread, CPU time: `python -m bench.overhead`."""

from __future__ import annotations

import time
from collections.abc import Callable
from timeit import repeat

import torch
from tabulate import tabulate
from torch import Size, Tensor

import attncc
from attncc import calls, compiler, device
from attncc.calls import Attend, Serve, State
from attncc.device import DeviceModel
from attncc.ir.schedule import Operands, Shape
from attncc.lists import Given
from attncc.report.record import Cost

#: A call so small that nearly all of its time is not arithmetic.
SHAPE = Shape(1, 1, 1, 16, 16, 16)
CALLS, ROUNDS = 1000, 100


class Idle(Attend):
    """Chooses a kernel for each call as every pattern does, and runs none."""

    def _kernel(self, operands: Operands, shape: Shape, device: DeviceModel) -> Serve:
        return _nothing

    def choice(self) -> Callable[[], object]:
        """What each call does to choose: looks an equal signature up among those that were called with."""
        known, (signature, *_) = self._by_signature, self._by_signature
        equal = tuple(Size([*part]) if isinstance(part, Size) else part for part in signature)
        return lambda: known.get(equal)


def _nothing(query: Tensor, key: Tensor, value: Tensor, scale: float, given: Given | None = None, /) -> State:
    return query, query


def micros(call: Callable[[], object]) -> float:
    """The least CPU time of a call over all rounds, in microseconds: what disturbs a round only adds to it."""
    call()
    return min(repeat(call, number=CALLS, repeat=ROUNDS, timer=time.thread_time)) / CALLS * 1e6


def rows() -> list[tuple[str, float]]:
    """Each way to make the same call, with its cost."""
    query, key, value = (torch.randn(1, 1, SHAPE.q_len, SHAPE.head_dim) for _ in range(3))
    pattern = attncc.Pattern.load("causal")
    kernel = compiler.kernel(pattern.bound, Operands("float32", SHAPE.head_dim), SHAPE, device.host())
    attend, operator = calls.attend(pattern.bound), torch.ops.attncc.causal
    sdpa = torch.nn.functional.scaled_dot_product_attention
    wanting = query.clone().requires_grad_()
    found = [
        ("bare kernel", micros(lambda: kernel(query, key, value, 0.25))),
        ("with checks and choice of kernel", micros(lambda: attend(query, key, value))),
        ("torch.ops.attncc.causal", micros(lambda: operator(query, key, value))),
        ("attncc.attention", micros(lambda: attncc.attention(query, key, value, pattern))),
        ("torch.ops.attncc.causal, gradients wanted", micros(lambda: operator(wanting, key, value))),
        ("scaled_dot_product_attention", micros(lambda: sdpa(query, key, value, is_causal=True))),
    ]
    with torch.inference_mode():
        found.append(("torch.ops.attncc.causal, inference mode", micros(lambda: operator(query, key, value))))
    return found


def parts() -> list[tuple[str, float]]:
    """What a call costs before its kernel, after the first such call, and how much of that is the choice."""
    query, key, value = (torch.randn(1, 1, SHAPE.q_len, SHAPE.head_dim) for _ in range(3))
    idle = Idle(attncc.Pattern.load("causal").bound)
    before = micros(lambda: idle(query, key, value))
    return [("checks and choice, without a kernel", before), ("choice of the tuned kernel", micros(idle.choice()))]


def costs() -> tuple[Cost, ...]:
    """The same for a record, in seconds."""
    torch.set_num_threads(1)
    return tuple(Cost(f"one call of 16 tokens: {name}", cost * 1e-6) for name, cost in (*rows(), *parts()))


def main() -> None:
    torch.set_num_threads(1)
    found = rows()
    bare = found[0][1]
    table = [(name, cost, cost - bare) for name, cost in found] + [(name, cost, None) for name, cost in parts()]
    print(tabulate(table, headers=["call", "micros", "above the kernel"], floatfmt=".2f"))


if __name__ == "__main__":
    main()
