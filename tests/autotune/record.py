"""Measures every schedule of a wide space on this CPU and writes the landscape down, for strategies to be tried on.

python -m tests.autotune.record a_shape float32 1,2,2,2048,2048,64
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path

from attncc.autotune.job import Job
from attncc.autotune.tuner import tune
from attncc.device import host
from attncc.ir.schedule import DTYPES, Operands, Shape
from attncc.library.entry import Trial
from attncc.library.store import KernelLibrary
from attncc.spec import load, lower
from tests.autotune import wide_cpu

FOLDER = Path(__file__).parent / "recorded"


def main(name: str, dtype_name: str, sizes: str) -> None:
    """Writes `recorded/<name>_<dtype>.json`: knobs, and for each schedule its time over the default's, null if none."""
    dtype = next(known for known in DTYPES if known == dtype_name)
    shape = Shape(*map(int, sizes.split(",")))
    pattern, operands, device = lower.lower(load.find(name), {}), Operands(dtype, shape.head_dim), host()
    job = Job(pattern, operands, shape, device, wide_cpu.__name__)
    with KernelLibrary(Path(tempfile.mkdtemp())) as library:
        work = pattern, operands, shape, device
        result = tune(*work, library=library, strategy="exhaustive", writer=job.writer)
    knobs = [{"name": k.name, "choices": k.choices, "default": k.default} for k in job.space().knobs]
    record = {
        "call": f"{name} {dtype} {sizes}",
        "hardware": device.hardware,
        "toolchain": job.key().toolchain,
        "knobs": knobs,
    }
    ratios = ",\n".join(json.dumps(_row(trial)) for trial in result.trials)
    head = json.dumps(record, indent=1).removesuffix("\n}")
    (FOLDER / f"{name}_{dtype}.json").write_text(f'{head},\n "ratios": [\n{ratios}\n ]\n}}\n', encoding="utf-8")


def _row(trial: Trial) -> list[int | str | float | None]:
    choices = [value for _, value in trial.schedule.choices]
    return [*choices, None if math.isinf(trial.ratio) else round(trial.ratio, 4)]


if __name__ == "__main__":
    main(*sys.argv[1:])
