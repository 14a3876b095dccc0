"""What does an operator cost above its bare kernel? One thread, CPU time: `python -m bench.overhead`."""

from __future__ import annotations

import time
from collections.abc import Callable
from timeit import repeat

import torch
from tabulate import tabulate

import attncc
from attncc import calls, compiler, device
from attncc.ir.schedule import Operands, Shape
from attncc.report.record import Cost

#: A call so small that nearly all of its time is not arithmetic.
SHAPE = Shape(1, 1, 1, 16, 16, 16)
CALLS, ROUNDS = 1000, 100


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


def costs() -> tuple[Cost, ...]:
    """The same for a record, in seconds."""
    torch.set_num_threads(1)
    return tuple(Cost(f"one call of 16 tokens: {name}", cost * 1e-6) for name, cost in rows())


def main() -> None:
    torch.set_num_threads(1)
    found = rows()
    bare = found[0][1]
    table = [(name, cost, cost - bare) for name, cost in found]
    print(tabulate(table, headers=["call", "micros", "above the kernel"], floatfmt=".1f"))


if __name__ == "__main__":
    main()
