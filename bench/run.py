"""Runs the cases side by side and writes what was measured: `python -m bench.run --out FILE.json [--full]`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import torch
from torch import Tensor

from attncc import device
from attncc.report.environment import environment
from attncc.report.record import Clock, Peak, Record, Timing
from bench import cases, peak
from bench.cases import Case
from bench.clock import interleave
from bench.peers import PEERS, Problem
from bench.problem import problem, sampled_error, workload
from bench.setup import setups


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="JSON file to write.")
@click.option("--full/--quick", default=False, help="Every figure of the report, or a few minutes' worth.")
@click.option("--rounds", default=7, show_default=True, help="Interleaved rounds per case.")
@click.option("--threads", "threads", type=int, multiple=True, default=(1, 2), show_default=True)
@click.option("--only", default="", help="Only the cases whose name contains this.")
@click.option("--setup/--no-setup", default=True, help="Also measure what a mask costs before its first kernel runs.")
def main(out: Path, full: bool, rounds: int, threads: Sequence[int], only: str, setup: bool) -> None:
    """Measure attncc and its peers in one run."""
    record = Record(device.host().name, environment(), peak.peaks())
    for peak_found in record.peaks:
        click.echo(f"peak {peak_found.instruction}: {peak_found.gflops:.0f} GFLOP/s a core")
    for count in threads:
        chosen = cases.full(heads=2 * count) if full else cases.quick(heads=2 * count)
        for case in (case for case in chosen if only in case.name):
            record = _with(record, case, count, rounds)
            record.save(out)
    if setup:
        record = dataclasses.replace(record, setups=tuple(setups(full)))
    dataclasses.replace(record, peaks=_best(record.peaks, peak.peaks())).save(out)
    click.echo(f"wrote {out}")


def _with(record: Record, case: Case, threads: int, rounds: int) -> Record:
    posed = problem(case)
    measured = tuple(measure(case, posed, threads, rounds))
    for timing in measured:
        click.echo(f"{case.name:34} {threads} thread(s) {timing.peer:12} {_outcome(timing)}")
    described = dataclasses.replace(workload(case, posed), name=f"{case.name}, {threads} threads")
    renamed = (dataclasses.replace(timing, workload=described.name) for timing in measured)
    return dataclasses.replace(record, workloads=(*record.workloads, described), timings=(*record.timings, *renamed))


def measure(case: Case, posed: Problem, threads: int, rounds: int) -> Iterator[Timing]:
    """One Timing per peer of the case: CPU time on one thread, wall time on several."""
    clock: Clock = "cpu" if threads == 1 else "wall"
    torch.set_num_threads(threads)
    calls: dict[str, Callable[[], Tensor]] = {}
    errors: dict[str, float | None] = {}
    with torch._inductor.config.patch({"cpp.threads": threads}):
        for name in case.peers:
            calls[name] = PEERS[name].prepare(posed)
            same = PEERS[name].same_result(posed)
            errors[name] = sampled_error(posed, calls[name]()) if same else None
        for name, found in interleave(calls, clock, rounds).items():
            same = PEERS[name].same_result(posed)
            yield Timing(case.name, name, threads, clock, same, found.micros, found.spread, found.samples, errors[name])


def _best(before: Sequence[Peak], after: Sequence[Peak]) -> tuple[Peak, ...]:
    return tuple(max(pair, key=lambda found: found.gflops) for pair in zip(before, after, strict=True))


def _outcome(timing: Timing) -> str:
    if timing.micros is None:
        return timing.reason or "no time"
    error = "" if timing.error is None else f"  error {timing.error:.1e}"
    return f"{timing.micros / 1000:10.3f} ms  +-{timing.spread or 0:.1%}{error}"


if __name__ == "__main__":
    main()
