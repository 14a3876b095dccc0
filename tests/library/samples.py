"""A key, an entry and trials to keep."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from attncc.ir.schedule import Schedule, Shape
from attncc.library.entry import Failure, LibraryEntry, Timing, Trial
from attncc.library.key import KernelKey

KEY: Final = KernelKey(
    pattern="a_shape",
    meaning="0123456789abcdef",
    dtype="bfloat16",
    head_dim=128,
    group=4,
    phase="prefill",
    shape_class="h32 q4096 kv4096",
    backend="cpu",
    space="fedcba9876543210",
    hardware="cpu-avx512-2",
    toolchain="gcc 12.2.0",
)
OTHER_KEY: Final = replace(KEY, dtype="float32")


def schedule(block_m: int) -> Schedule:
    return Schedule((("block_m", block_m), ("order", "natural")))


def trial(block_m: int, micros: float = 5.0) -> Trial:
    return Trial(schedule(block_m), f"source{block_m}", Timing(micros, 0.25, 7, 10.0))


CRASH: Final = Trial(schedule(512), "source512", Failure("crash", "killed by SIGSEGV"))

ENTRY: Final = LibraryEntry(
    key=KEY,
    params=(("window", 1024), ("sink", 128)),
    formula="kv <= q",
    shape=Shape(1, 32, 8, 4000, 4096, 128),
    schedule=schedule(64),
    source="source64",
    kind="measured",
    micros=5.0,
    spread=0.25,
    default_micros=10.0,
    confirmed=15,
    trials=20,
    session="0123",
    made_with=(("torch", "2.13.0"), ("device", "amd-epyc")),
)
