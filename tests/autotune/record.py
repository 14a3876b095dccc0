"""Times every schedule of a wide space on this CPU and writes the landscape down, for strategies and races to be tried
on.

OMP_NUM_THREADS=1 python -m tests.autotune.record a_shape float32 1,2,2,1024,1024,64
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

from attncc.autotune.isolate import Isolated
from attncc.autotune.job import Job
from attncc.autotune.sampler import IsolatedSampler
from attncc.device import host
from attncc.errors import AttnccError
from attncc.ir.schedule import DTYPES, Operands, Schedule, Shape
from attncc.library.entry import Failure
from attncc.spec import load, lower
from tests.autotune import wide_cpu

FOLDER: Final = Path(__file__).parent / "recorded"
#: Each schedule is timed so many times, in rounds that every schedule takes part in; the samples of so many are kept.
ROUNDS: Final = 100
KEPT: Final = 16


def main(name: str, dtype_name: str, sizes: str) -> None:
    """Writes `recorded/<arch>_<name>_<dtype>.json`: knobs, and of each schedule its time over the default's (null if it
    does not work) and samples over the default's median.

    What slows a whole round slows its median too, so a time is the median of samples over the medians of their rounds.
    """
    dtype = next(known for known in DTYPES if known == dtype_name)
    shape = Shape(*map(int, sizes.split(",")))
    pattern, operands, device = lower.lower(load.find(name), {}), Operands(dtype, shape.head_dim), host()
    job = Job(pattern, operands, shape, device, wide_cpu.__name__)
    with Isolated(job) as isolated:
        sampled = _sampled(job, IsolatedSampler(isolated))
    record = {
        "call": f"{name} {dtype} {sizes}",
        "hardware": device.hardware,
        "toolchain": job.key().toolchain,
        "knobs": [{"name": k.name, "choices": k.choices, "default": k.default} for k in job.space().knobs],
    }
    head = json.dumps(record, indent=1).removesuffix("\n}")
    control = sampled[job.space().default()]
    rounds = [median(micros) for micros in zip(*filter(None, sampled.values()), strict=True)]
    times = {schedule: _time(own, rounds) for schedule, own in sampled.items() if own}
    usual_time = times[job.space().default()]
    found = {schedule: round(time / usual_time, 4) for schedule, time in times.items()}
    ratios = ",\n".join(json.dumps([*_choices(schedule), found.get(schedule)]) for schedule in sampled)
    usual = median(control)
    rows = [[*_choices(s), [round(micros / usual, 4) for micros in own[:KEPT]]] for s, own in sampled.items() if own]
    samples = ",\n".join(map(json.dumps, rows))
    file = FOLDER / f"{device.arch}_{name}_{dtype}.json"
    body = f'{head},\n "control_micros": {usual:.1f},\n "ratios": [\n{ratios}\n ],\n "samples": [\n{samples}\n ]\n}}\n'
    file.write_text(body, encoding="utf-8")


def _sampled(job: Job, sampler: IsolatedSampler) -> dict[Schedule, list[float]]:
    """Microseconds of every schedule, round by round; none for one that does not work."""
    found: dict[Schedule, list[float]] = {schedule: [] for schedule in job.space().schedules()}
    works = [schedule for schedule in found if _works(sampler, schedule)]
    rng = random.Random(0)
    for _ in range(ROUNDS):
        for schedule in rng.sample(works, len(works)):
            micros = sampler.sample(schedule)
            assert isinstance(micros, float), f"{schedule} stopped working: {micros}"
            found[schedule].append(micros)
    return found


def _works(sampler: IsolatedSampler, schedule: Schedule) -> bool:
    try:
        return not isinstance(sampler.prepare(schedule), Failure)
    except AttnccError:
        return False


def _time(own: Sequence[float], rounds: Sequence[float]) -> float:
    return median(micros / usual for micros, usual in zip(own, rounds, strict=True))


def _choices(schedule: Schedule) -> list[int | str]:
    return [value for _, value in schedule.choices]


if __name__ == "__main__":
    main(*sys.argv[1:])
