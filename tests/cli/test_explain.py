"""Does `attncc explain` say what is stored, and what is missing?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from attncc.autotune.job import Job, writer_for
from attncc.autotune.tuner import tune
from attncc.device import host
from attncc.ir.schedule import Operands, Shape
from attncc.library.entry import Failure, LibraryEntry, Timing, Trial
from attncc.library.store import KernelLibrary
from attncc.spec import load, lower
from tests.autotune.samples import Replay
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
    assert "a call chooses or brings them" in choosing.out
    assert not Path(missing).exists()


def test_on_a_gpu_the_model_says_what_each_resource_takes_and_what_is_not_compiled(tmp_path: Path) -> None:
    asked = ("explain", "causal", "--target", "H100", "--library", str(tmp_path / "none"), "--json")
    found = json.loads(attncc(*asked).out)
    assert set(found["limits"]["micros_alone"]) == {"products", "exponentials", "memory", "cache"}
    assert found["limits"]["imbalance"] >= 1
    assert "at once, for want of" in found["limits"]["programs"]
    spilling = [one for one in found["pruned"] if one["reason"].startswith("would spill")]
    assert sum(one["schedules"] for one in spilling) > 0
    assert found["schedules"]["combined"] >= found["schedules"]["legal"] > 0


def test_the_ties_of_a_tuning_run_are_kept_and_shown(tmp_path: Path) -> None:
    """Schedules whose times cannot be told apart, from the race to the page."""
    pattern, device = lower.lower(load.find("causal")), host()
    job = Job(pattern, Operands("float32", 64), SHAPE, device, writer_for(device))
    flat = Replay(dict.fromkeys(job.space().schedules(), 100.0))
    with KernelLibrary(tmp_path) as library:
        work = (job.pattern, job.operands, job.shape, job.device)
        entry = tune(*work, library=library, sampler=flat, strategy="exhaustive").entry
        assert library.decision(job.key()) == entry
    assert entry.schedule == job.space().default()
    assert len(entry.ties) >= 3
    found = json.loads(attncc("explain", "causal", *ASKED, HERE, "--library", str(tmp_path), "--json").out)
    assert found["ties"] == [dict(tie.choices) for tie in entry.ties]
