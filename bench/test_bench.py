"""The quick cases under pytest-benchmark: `python -m pytest bench --benchmark-group-by=param:case`."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.cases import Case, quick
from bench.peers import PEERS
from bench.problem import problem

PAIRS = [pytest.param(case, peer, id=f"{case.name}-{peer}") for case in quick(heads=4) for peer in case.peers]


@pytest.mark.parametrize(("case", "peer"), PAIRS)
def test_speed(benchmark: BenchmarkFixture, case: Case, peer: str) -> None:
    call = PEERS[peer].prepare(problem(case))
    benchmark.extra_info["same_result"] = PEERS[peer].same_result(problem(case))
    benchmark(call)
