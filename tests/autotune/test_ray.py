"""Does a cluster decide as one machine does, also when a part of it is lost?"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from attncc.autotune.budget import Budget
from attncc.autotune.decide import finalists
from attncc.autotune.fleet import Fleet
from attncc.autotune.job import Job, writer_for
from attncc.autotune.sampler import IsolatedSampler, Sampler
from attncc.autotune.session import TuneResult
from attncc.device import host
from attncc.ir.schedule import Operands, Schedule, Shape
from attncc.library.entry import Trial
from attncc.library.store import KernelLibrary
from attncc.spec import load, lower
from tests.autotune import replayed
from tests.autotune.replayed import JOB, Opens, Slowed

ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'attncc[ray]'")
from ray.cluster_utils import Cluster  # noqa: E402 - absent without ray

ROOT = Path(__file__).parents[2]
#: A node that does not answer for so long is lost.
HEALTH = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000, "health_check_failure_threshold": 8}
#: Two jobs with keys of their own.
JOBS = (JOB, replace(JOB, shape=replace(JOB.shape, q_len=200, kv_len=200)))


@dataclass(frozen=True)
class Here:
    """The executor of this process, on the recorded times."""

    opens: Opens
    places: int = 1

    @contextmanager
    def sampler(self, job: Job) -> Iterator[Sampler]:
        yield IsolatedSampler(self.opens(job))

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def environment() -> Iterator[None]:
    """Workers import this checkout."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    yield
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@pytest.fixture(scope="module")
def cluster(environment: None) -> Iterator[Cluster]:
    """A cluster of one node on this machine, and this process connected to it."""
    found = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False, "_system_config": HEALTH}
    )
    try:
        ray.init(address=found.address, log_to_driver=False)
        yield found
    finally:
        ray.shutdown()
        found.shutdown()


def decided(results: list[object]) -> list[tuple[object, float]]:
    assert all(isinstance(result, TuneResult) for result in results), results
    return [(r.entry.schedule, r.entry.micros) for r in results if isinstance(r, TuneResult)]


@pytest.mark.slow
def test_a_cluster_decides_as_one_machine_and_survives_the_loss_of_a_node(cluster: Cluster, tmp_path: Path) -> None:
    from attncc.autotune.executors.ray import OnRay

    alone = Fleet(Here(Opens(tmp_path / "alone", 0.0)), tmp_path / "alone.library").tune(JOBS)
    second = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    executor = OnRay("cpu", Opens(tmp_path / "log", 0.01))
    assert executor.places == 2
    fleet, results = Fleet(executor, tmp_path / "library"), list[object]()
    running = threading.Thread(target=lambda: results.extend(fleet.tune(JOBS)))
    running.start()
    wait_for(lambda: all(len(trials(tmp_path / "library", job)) >= 4 for job in JOBS))
    cluster.remove_node(second, allow_graceful=False)
    finished = {name(job, made.schedule) for job in JOBS for made in trials(tmp_path / "library", job)}
    timed = len((tmp_path / "log").read_text().splitlines())
    running.join(240)
    assert not running.is_alive()
    assert decided(results) == decided([*alone])
    for job in JOBS:
        assert set(trials(tmp_path / "library", job)) == set(trials(tmp_path / "alone.library", job))
    # What had a trial is timed again only as the control, and in the last race.
    later = set((tmp_path / "log").read_text().splitlines()[timed:])
    space = replayed.LANDSCAPE.space
    last = {name(job, s) for job in JOBS for s in finalists(trials(tmp_path / "library", job), space, 4)}
    assert later
    assert not (later & finished) - last
    assert executor.places == 1
    executor.close()


@pytest.mark.slow
def test_samples_of_a_slowed_machine_are_taken_again(cluster: Cluster, tmp_path: Path) -> None:
    from attncc.autotune.executors.ray import OnRay

    alone = Fleet(Here(Opens(tmp_path / "alone", 0.0)), tmp_path / "alone.library").tune(JOBS[:1])
    executor = OnRay("cpu", Opens(tmp_path / "log", 0.0), Slowed(40))
    results = Fleet(executor, tmp_path / "library").tune(JOBS[:1])
    executor.close()
    assert decided([*results]) == decided([*alone])
    (result,) = results
    assert isinstance(result, TuneResult)
    told = dict(result.entry.made_with)
    samples = len((tmp_path / "log").read_text().splitlines())
    assert int(told["dropped samples"]) == samples // 40


def name(job: Job, schedule: Schedule) -> str:
    """As the log of recorded times writes it."""
    return f"{job.shape.q_len}: {schedule}"


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")
def test_kernels_are_compiled_and_timed_by_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    from attncc.autotune.executors.ray import OnRay

    pattern, device = lower.lower(load.find("causal")), host()
    job = Job(pattern, Operands("float32", 64), Shape(1, 2, 1, 96, 96, 64), device, writer_for(device))
    executor = OnRay("cpu")
    (result,) = Fleet(executor, tmp_path / "library", Budget(trials=2)).tune([job])
    executor.close()
    assert isinstance(result, TuneResult), result
    assert result.entry.kind == "measured"
    assert len(trials(tmp_path / "library", job)) == 2


def trials(library: Path, job: Job) -> tuple[Trial, ...]:
    if not library.exists():
        return ()
    with KernelLibrary(library) as kept:
        return kept.trials(job.key())


def wait_for(holds: object, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    assert callable(holds)
    while not holds():
        assert time.monotonic() < deadline, "the cluster does nothing"
        time.sleep(0.1)
