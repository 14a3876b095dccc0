"""Does `attncc explain` say what is stored, and what is missing?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from attncc.autotune.job import Job, writer_for
from attncc.device import host
from attncc.ir.schedule import Operands, Shape
from attncc.library.entry import Failure, LibraryEntry, Timing, Trial
from attncc.library.store import KernelLibrary
from attncc.spec import load, lower
from tests.cli.run import attncc
from tests.library.samples import ENTRY

SHAPE = Shape(1, 2, 1, 256, 256, 64)
ASKED = ("--device", "cpu", "--dtype", "fp32", "--shape")
HERE, FAR = "1,2,1,256,256,64", "1,2,1,8192,8192,64"


def tuned(folder: Path) -> LibraryEntry:
    """A library with a decision, its tie, and a trial that failed."""
    pattern, device = lower.lower(load.find("causal")), host()
    job = Job(pattern, Operands("float32", 64), SHAPE, device, writer_for(device))
    chosen, tie, wrong = [s for s in job.space().schedules() if s != job.space().default()][:3]
    made_with = (("attncc", "0.0.1"), ("load", "9.9"))
    entry = replace(ENTRY, key=job.key(), shape=SHAPE, schedule=chosen, ties=(tie,), made_with=made_with)
    with KernelLibrary(folder) as library:
        library.put(entry)
        library.add_trial(job.key(), Trial(chosen, "a", Timing(5.0, 0.1, 7, 10.0)))
        library.add_trial(job.key(), Trial(wrong, "b", Failure("out_of_memory", "no memory for it")))
    return entry


def test_a_decision_is_explained(tmp_path: Path) -> None:
    entry = tuned(tmp_path)
    shown = attncc("explain", "causal", *ASKED, HERE, "--library", str(tmp_path))
    assert shown.status == 0, shown.err
    said = ("measured for this call", "2.000 x the default", str(entry.ties[0]), "out of memory", "no memory for it")
    for words in (*said, "imbalance", "left out", "attncc was 0.0.1"):
        assert words in shown.out
    assert "load" not in shown.out
    found = json.loads(attncc("explain", "causal", *ASKED, HERE, "--library", str(tmp_path), "--json").out)
    assert (found["standing"], found["schedule"]) == ("exact", dict(entry.schedule.choices))
    assert found["pruned"] == [{"reason": "out of memory", "schedules": 1, "example": "no memory for it"}]
    assert found["schedules"]["timed"] == 1


def test_a_miss_names_the_nearest_entries(tmp_path: Path) -> None:
    tuned(tmp_path)
    shown = attncc("explain", "causal", *ASKED, FAR, "--library", str(tmp_path))
    assert "built-in schedule" in shown.out
    assert "shape_class h2 q256 kv256" in shown.out
    found = json.loads(attncc("explain", "causal", *ASKED, FAR, "--library", str(tmp_path), "--json").out)
    assert found["standing"] == "built-in"
    assert [near["standing"] for near in found["nearest"]] == ["another class"]


def test_a_near_class_serves_and_is_labelled(tmp_path: Path) -> None:
    entry = tuned(tmp_path)
    near = ("1,2,1,512,512,64", "--library", str(tmp_path), "--json")
    found = json.loads(attncc("explain", "causal", *ASKED, *near).out)
    assert (found["standing"], found["differs"]) == ("another class", ["shape_class"])
    assert found["schedule"] == dict(entry.schedule.choices)


def test_without_a_library_and_for_hardware_that_is_not_here(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    choosing = attncc("explain", "vertical_slash", "--target", "H100", "--library", missing)
    assert choosing.status == 0, choosing.err
    assert "depend on what a call chooses" in choosing.out
    assert not Path(missing).exists()
