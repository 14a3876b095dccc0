"""Does a record come back as it was written, and is what is no record refused with its reason?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attncc.errors import BenchFileUnreadable
from attncc.ir.schedule import Shape
from attncc.report.record import Choice, Footprint, Peak, Record, Rung, SetUp, Timing, Tuning, Workload, load

SHAPE = Shape(1, 2, 1, 64, 64, 32)
WORK = Workload("some", "causal", (("window", 3),), SHAPE, "float32", 2080, None)
TIMING = Timing("some", "attncc", 1, "cpu", True, 12.5, 0.1, 7, 1e-7)
RECORD = Record(
    device="some-cpu",
    environment=(("CPU", "some"),),
    peaks=(Peak("fma", 100.0),),
    workloads=(WORK,),
    timings=(TIMING, Timing("some", "flex", 1, "cpu", True, reason="not here")),
    setups=(SetUp("flex", "causal", 64, 0.5, None),),
    choices=(Choice(WORK, 12, 10, (TIMING,)),),
    footprints=(Footprint("causal", (("a", 1),), 64, 2, 1, 2, 3, 0.1),),
    bandwidth=18.0,
    rungs=(Rung("a_shape", (("sink", 4),), "float32", SHAPE, 1.0, 2.0, 3.0),),
    tunings=(
        Tuning("k", "causal", "measured", (("tried", 3),), (("spills", 1),), (1.0, 0.9), "calibrated", ((1.0, 1.1),)),
    ),
)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    RECORD.save(tmp_path / "data.json")
    assert load(tmp_path / "data.json") == RECORD


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("peaks", [{"instruction": "fma", "gflops": "many"}]),
        ("workloads", 3),
        ("surprise", 1),
        ("environment", [["a"]]),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "data.json"
    RECORD.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(BenchFileUnreadable):
        load(path)
