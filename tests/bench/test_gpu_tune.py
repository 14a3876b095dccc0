"""Are calls tuned in order, in the time there is, and those with a decision left out? Tried on the CPU."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from attncc import device
from attncc.cli.tuning import Call
from attncc.ir.schedule import Shape
from attncc.library.store import KernelLibrary
from attncc.spec import load, lower
from bench.gpu import cases, tune
from bench.gpu.tune import Tour

SHAPE = Shape(1, 2, 1, 64, 64, 16)


def call(name: str) -> Call:
    return Call(lower.lower(load.find(name), {}), SHAPE, "float32")


@pytest.mark.slow
def test_a_tour_stops_and_goes_on(tmp_path: Path) -> None:
    wanted = [call("causal"), call("dense")]
    tour = Tour(wanted, "cpu", tmp_path, each=3.0)
    assert [one.pattern.name for one in tour.undecided(device.host())] == ["causal", "dense"]
    ticks = count(0.0, 100.0)
    assert Tour(wanted, "cpu", tmp_path, each=3.0, clock=lambda: next(ticks)).run(50.0) == (0, 1)
    assert [one.pattern.name for one in tour.undecided(device.host())] == ["dense"]
    assert tour.run(60.0) == (0, 0)
    assert not list(tour.undecided(device.host()))
    with KernelLibrary(tmp_path) as library:
        assert [entry.key.pattern for entry in library.entries()] == ["causal", "dense"]


def test_calls_are_those_of_the_goals() -> None:
    found = tune.calls()
    assert found[0].shape == cases.shape(16384)
    assert {one.pattern.name for one in found} >= {"a_shape", "vertical_slash", "hip", "landmark"}
    assert max(one.shape.kv_len for one in found) == tune.LONGEST
