"""Cross-compiles a sample of schedules, legal or not, and writes down what became of each, to judge the filter by.

python -m tests.autotune.record_compilations 10 0 fitted_first
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from attncc import passes
from attncc.codegen import triton
from attncc.codegen.kernel import KernelSource
from attncc.device import DeviceModel, named
from attncc.ir.schedule import DType, Operands, Schedule
from attncc.spec import load, lower

FOLDER: Final = Path(__file__).parent / "compiled"
ARCHES: Final = ("sm_80", "sm_90", "sm_100")
OPERANDS: Final[tuple[tuple[DType, int, float], ...]] = (
    ("bfloat16", 64, 1.0),
    ("bfloat16", 128, 1.0),
    ("bfloat16", 256, 1.0),
    ("float32", 64, 0.3),
    ("float32", 128, 0.3),
)
#: A pattern over lists has tiles that are no higher than the rows which share a choice.
ANY_HEIGHT: Final = ("causal", "a_shape")
LISTED, LISTED_ROWS = "block_sparse", 64
SECONDS: Final = 150.0

Drawn: TypeAlias = tuple[str, DeviceModel, Operands, Schedule]


def main(each: str, seed: str, name: str) -> None:
    """Appends a line for every compilation: pattern, arch, dtype, head_dim, schedule, outcome, seconds of CPU time."""
    with (FOLDER / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        for pattern, device, operands, schedule in drawn(int(each), int(seed)):
            outcome, seconds = compiled(source(pattern, operands, schedule), device)
            choices = [value for _, value in schedule.choices]
            row = [pattern, device.arch, operands.dtype, operands.head_dim, choices, outcome, round(seconds, 2)]
            print(json.dumps(row), file=file, flush=True)


def drawn(each: int, seed: int) -> Iterator[Drawn]:
    """About `each` schedules for every arch, dtype and head_dim, in an order that may be stopped anywhere."""
    rng, found = random.Random(seed), []
    for arch, (dtype, head_dim, share) in itertools.product(ARCHES, OPERANDS):
        operands, device = Operands(dtype, head_dim), named(arch)
        schedules = list(product(operands, device))
        some = rng.sample(schedules, min(len(schedules), round(each * share)))
        found += [(rng.choice(patterns(one)), device, operands, one) for one in some]
    rng.shuffle(found)
    yield from found


def patterns(schedule: Schedule) -> Sequence[str]:
    return ANY_HEIGHT if schedule.number("BLOCK_M") > LISTED_ROWS else (*ANY_HEIGHT, LISTED)


def product(operands: Operands, device: DeviceModel) -> Iterator[Schedule]:
    """Every choice of the knobs, refused or not; models know Triton's own kernels only."""
    knobs = triton.space(operands, "prefill", device).knobs
    for values in itertools.product(*([c for c in knob.choices if c not in knob.unforeseen] for knob in knobs)):
        yield Schedule(tuple(zip((knob.name for knob in knobs), values, strict=True)))


def source(name: str, operands: Operands, schedule: Schedule) -> KernelSource:
    pattern = lower.lower(load.find(name), {})
    return triton.emit(passes.run(pattern, triton.tiling("prefill", schedule)), operands, "prefill", schedule)


def compiled(text: KernelSource, device: DeviceModel) -> tuple[Sequence[object], float]:
    """("used", registers, spilled bytes, shared bytes, instructions), ("error", words) or ("timeout",); CPU seconds."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.close(reading)
        os.write(writing, json.dumps(attempt(text, device)).encode())
        os._exit(0)
    os.close(writing)
    until = time.monotonic() + SECONDS
    while (ended := os.wait4(child, os.WNOHANG))[0] == 0 and time.monotonic() < until:
        time.sleep(0.05)
    if ended[0] == 0:
        os.killpg(child, signal.SIGKILL)
        ended = os.wait4(child, 0)
    with os.fdopen(reading, encoding="utf-8") as answer:
        words = answer.read()
    seconds = ended[2].ru_utime + ended[2].ru_stime
    return (json.loads(words) if words else ["timeout"]), seconds


def attempt(text: KernelSource, device: DeviceModel) -> Sequence[object]:
    from attncc.codegen.triton.static import Unbuildable, resources

    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATTNCC_CACHE"] = folder
        found = resources(text, device)
    if isinstance(found, Unbuildable):
        return "error", found.reason[:200]
    return "used", found.registers, found.spill_bytes, found.shared_bytes, dict(found.instructions)


if __name__ == "__main__":
    # Imported once, for all children.
    from attncc.codegen.triton import static as _static  # noqa: F401 - children find it loaded

    main(*sys.argv[1:])
