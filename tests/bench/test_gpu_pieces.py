"""Is the bench of a GPU planned whole: every size once, nothing begun that cannot end, pieces of a few minutes?"""

from __future__ import annotations

import pytest

from attncc import device
from attncc.ir.schedule import Shape
from bench import cases as cpu_cases
from bench.gpu import cases, cost, pieces
from bench.gpu.cost import Card

ON = cost.card(device.named("H100"))
SECONDS = 540.0


@pytest.fixture(scope="module")
def planned() -> tuple[pieces.Step, ...]:
    return pieces.steps(cases.every(), ON)


def test_every_size_is_there_once(planned: tuple[pieces.Step, ...]) -> None:
    names = [case.name for step in planned for case in step.cases]
    assert len(names) == len(set(names))
    sizes = {(case.pattern, case.shape) for step in planned for case in step.cases}
    for pattern in ("causal", "sliding_window", "a_shape"):
        for kv_len in (4096, 16384, 32768, 131072, 1048576):
            for head_dim in (64, 128):
                assert {(pattern, Shape(batch, 32, 8, kv_len, kv_len, head_dim)) for batch in (1, 4)} <= sizes
    assert {pattern for pattern, shape in sizes if shape.kv_len == 32768} >= set(cpu_cases.fixed())


def test_goals_come_first(planned: tuple[pieces.Step, ...]) -> None:
    goals = list(cases.goals())
    assert [step.cases for step in planned[: len(goals)]] == goals
    assert all(len({case.shape for case in group}) == 1 for group in goals)


def test_what_has_no_room_or_no_end_is_left_out_with_the_reason(planned: tuple[pieces.Step, ...]) -> None:
    reasons = {(each.case.name, each.part): each.reason for step in planned for each in step.estimates}
    assert reasons["causal, 1048576, d128, batch 4, bfloat16", "attncc"] == "not run: needs 80 GiB, 78 are there"
    assert reasons["causal, 1048576, d64, batch 4, bfloat16", "attncc"] == "not run: about 52 s a call"
    assert reasons["causal, 1048576, d128, batch 1, bfloat16", "sdpa cudnn"] is None
    assert all(each.bytes <= ON.bytes for step in planned for each in step.estimates if each.called)


def test_pieces_hold_every_step_in_order_and_end_in_time(planned: tuple[pieces.Step, ...]) -> None:
    found = list(pieces.pieces(planned, SECONDS))
    assert [step for piece in found for step in piece] == list(planned)
    assert all(len(piece) == 1 or sum(step.seconds for step in piece) <= SECONDS for piece in found)
    assert all(step.seconds <= SECONDS for step in planned)


def test_bytes_are_those_of_the_tensors() -> None:
    shape = Shape(2, 4, 2, 10, 20, 64)
    assert cost.tensors(shape) == {
        "query": 2 * 4 * 10 * 64 * 2,
        "key and value": 2 * 2 * 2 * 20 * 64 * 2,
        "out and lse": 2 * 4 * 10 * (64 * 2 + 4),
    }


def test_a_mask_of_a_window_has_little_to_do() -> None:
    (dense,), (window,) = (
        cases.named(cases.every(), f"{label}, 32768, d128, batch 1")[0] for label in ("causal", "window 1024")
    )
    assert cost.density(dense) == pytest.approx(1.0)
    assert cost.density(window) == pytest.approx(1024 / 16384, rel=0.05)


def test_everything_is_told(planned: tuple[pieces.Step, ...]) -> None:
    text = "\n".join(pieces.told(planned, Card("some-gpu", ON.flops, ON.bytes), SECONDS))
    assert text.startswith("some-gpu: 78 GiB")
    assert all(case.name in text for step in planned for case in step.cases)
    assert "attncc: not run: needs 80 GiB, 78 are there" in text
