"""Does the simulator notice mistakes in barriers, copies and products? Each is planted into a right kernel."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

import pytest

from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton.gluon.turns import Fault
from attncc.ir.schedule import Shape
from tests.codegen.listed_samples import Draw, agreement
from tests.codegen.triton_samples import pattern
from tests.gluon.samples import errors, schedule, source
from tests.gluon.test_lists import Simulated, made, near_and

CAUSAL = pattern("kv <= q")
SHAPE = Shape(1, 1, 1, 400, 400, 64)
SEEDS = 2

PRODUCT = "acc = warpgroup_mma(weight, value, acc, is_async=True)\n        score"
RELEASE = "mbarrier.arrive(value_empty.index(before), count=1)\n        "
RESCALED = "acc = acc * gl.convert_layout(rescale, gl.SliceLayout(1, SUMS))[:, None]"
SCORED = "score = warpgroup_mma_wait(1, deps=[score])\n        "
FREED = "mbarrier.arrive(key_empty.index(slot), count=1)\n        "
WAIT = "mbarrier.wait(key_full.index(slot), (t // STAGES) & 1)"
FREE = "mbarrier.wait({}_empty.index(slot), ((t // STAGES) & 1) ^ 1)"


class Planted(NamedTuple):
    """What is wrong, and the text that is replaced by another."""

    what: str
    right: str
    wrong: str


FAULTS = (
    Planted("values released too early", PRODUCT, RELEASE + PRODUCT),
    Planted("keys released too early", SCORED + FREED, FREED + SCORED),
    Planted("values before their keys", "before, t - 1)", "before, t)"),
    Planted("another phase", WAIT, WAIT.replace("& 1", "& 1 ^ 1")),
    Planted("no wait for keys", WAIT, "pass"),
    Planted("keys: no wait for a free place", FREE.format("key"), "pass"),
    Planted("values: no wait for a free place", FREE.format("value"), "pass"),
    Planted("too few to free a place", "value_empty.index(slot), count=CONSUMERS", "value_empty.index(slot), count=1"),
    Planted("a wait for all but two products", "wait(1, deps=[score])", "wait(2, deps=[score])"),
    Planted("half of the bytes", "(key_full.index(slot), TILE_BYTES)", "(key_full.index(slot), TILE_BYTES // 2)"),
    Planted("sums that are not rescaled", RESCALED, "pass"),
    Planted("a loop that begins a step late", "range(1, full)", "range(2, full)"),
    Planted("results copied before they are visible", "fence_async_shared()\n    offset", "offset"),
)


#: Of kernels that gather pieces from a list between whole tiles.
GATHERED = (
    Planted("a piece too few", "range(BLOCK_N // PIECE)", "range(BLOCK_N // PIECE - 1)"),
    Planted("pieces on top of each other", "slice(part * PIECE", "slice(part // 2 * 2 * PIECE"),
    Planted("places that do not count", "other=FAR // size", "other=0"),
    Planted("values of keys that were copied otherwise", "before, t, full,", "before, t, 0,"),
    Planted("last values before a change are forgotten", "if full > 0:", "if full > steps:"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.what for fault in FAULTS])
def test_a_planted_fault_is_noticed(fault: Planted) -> None:
    right = source(CAUSAL, schedule(128, 64, 2))
    assert fault.right in right.text
    broken = replace(right, text=right.text.replace(fault.right, fault.wrong))
    assert all(_noticed(broken, seed) for seed in range(SEEDS))


@pytest.mark.parametrize("fault", GATHERED, ids=[fault.what for fault in GATHERED])
def test_a_planted_fault_of_a_list_is_noticed(fault: Planted) -> None:
    draw = Draw(near_and(8), Shape(1, 1, 1, 400, 400, 64), "bfloat16", density=0.4)
    plan, right = made(draw.pattern, (64, 64, 2))
    broken = replace(right, text=_planted(right.text, fault))
    try:
        found = agreement(Simulated(broken), plan, draw)
    except (Fault, AttributeError, TypeError, RuntimeError):
        return
    assert not found.holds


def _planted(text: str, fault: Planted) -> str:
    """The text with the fault, wherever the right words are broken into lines."""
    words = re.escape(fault.right).replace("\\ ", "\\s+")
    planted, many = re.subn(words, lambda _: fault.wrong, text)
    assert many, fault.right
    return planted


def test_the_same_seed_is_the_same_run() -> None:
    """What is noticed, and when, does not depend on how threads are scheduled."""
    right = source(CAUSAL, schedule(128, 64, 2))
    broken = replace(right, text=right.text.replace(FREE.format("key"), "pass"))
    said = []
    for _ in range(3):
        with pytest.raises(Fault) as raised:
            errors(CAUSAL, broken, SHAPE, 1)
        lines = [entry.lineno for entry in raised.traceback if "simulated" in str(entry.path)]
        said.append((str(raised.value), lines))
    assert said[0] == said[1] == said[2]


def _noticed(broken: KernelSource, seed: int) -> bool:
    try:
        out, lse = errors(CAUSAL, broken, SHAPE, seed)
    except (Fault, AttributeError, TypeError, RuntimeError, AssertionError):
        return True
    return not (out < 1e-2 and lse < 1e-4)
