"""Runs the cases side by side and writes what was measured: `python -m bench.run [--full] [--out FILE.json]`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import torch

from attncc.autotune.policy import POLICIES
from attncc.device import host
from attncc.errors import AttnccError
from attncc.report.choices import density
from attncc.report.environment import environment
from attncc.report.page import DATA
from attncc.report.record import Clock, Peak, Prefill, Record, Timing, load
from attncc.report.sparsity import gain
from bench import cases, chosen_cases, footprint, lengths, models, overhead, peak, start
from bench import chosen as choosing
from bench.cases import Case
from bench.clock import interleave
from bench.outcome import outcome
from bench.peers import PEERS, Call, Problem
from bench.problem import problem, sampled_error, workload
from bench.setup import setups

REPORTS = Path("reports")
#: On a GPU: while the cache is overwritten, the host has time to launch what comes next; graphs would hide no more.
COLD = "eager cold"
#: A prompt through a model takes minutes.
MODEL_ROUNDS = 3
#: The name under which the yardstick takes its turns; its samples are seconds for a GFLOP.
PEAK = "peak"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run: cases for each number of threads."""

    cases: Sequence[tuple[int, Case]]
    rounds: int


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default <reports>/<hardware>/data.json.")
@click.option("--reports", type=click.Path(file_okay=False, path_type=Path), default=REPORTS, show_default=True)
@click.option("--quick", "chosen", flag_value="quick", default=True, help="A few minutes' worth (default).")
@click.option("--full", "chosen", flag_value="full", help="The figures of the report.")
@click.option(
    "--survey", "chosen", flag_value="survey", help="Every shipped pattern against FlexAttention, one thread."
)
@click.option("--append", is_flag=True, help="Keep what the file holds already; cases measured again replace it.")
@click.option("--device", "place", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--rounds", default=7, show_default=True, help="Interleaved rounds per case.")
@click.option("--threads", "threads", type=int, multiple=True, default=(1, 2), show_default=True)
@click.option("--only", default="", help="Only the cases whose name contains this.")
@click.option("--setup/--no-setup", default=True, help="Also measure what is not kernels: masks, first results, calls.")
@click.option(
    "--dry-run", is_flag=True, help="On a GPU, which need not be here: say what would be run, and in which pieces."
)
@click.option("--budget", type=float, help="On a GPU: seconds; what is left is for the same command with --append.")
@click.option(
    "--policy", type=click.Choice(list(POLICIES)), default=COLD, help="On a GPU: how calls are made and found."
)
@click.option("--again", is_flag=True, help="On a GPU: also what ended an earlier run.")
def main(
    out: Path | None,
    reports: Path,
    chosen: str,
    append: bool,
    place: str,
    rounds: int,
    threads: Sequence[int],
    only: str,
    setup: bool,
    dry_run: bool,
    budget: float | None,
    policy: str,
    again: bool,
) -> None:
    """Measure attncc and its peers in one run."""
    if place == "cuda":
        # Cases of a GPU take their time to list.
        from bench.gpu import command

        seconds = budget or command.SECONDS
        wanted = command.Wanted(out, only, chosen == "full", append, again, rounds, seconds, setup, POLICIES[policy])
        raise SystemExit(command.plan(wanted) if dry_run else command.run(wanted, reports))
    if dry_run or again or budget:
        raise click.UsageError("--dry-run, --budget and --again go with --device cuda")
    name = host().name
    path = out or reports / name / DATA
    found = peak.peaks()
    for one in found:
        click.echo(f"peak {one.instruction}: {one.gflops:.0f} GFLOP/s a core")
    kept = load(path) if append and path.exists() else Record(name, environment())
    record = replace(kept, environment=environment(), peaks=found, bandwidth=peak.bandwidth())
    groups = [tuple(case for case in group if only in case.name) for group in _groups(chosen, threads)]
    plan = Plan([pair for pair in _cases(chosen, threads) if only in pair[1].name], rounds)
    for count, case in plan.cases:
        record = with_case(record, case, count, plan)
        record.save(path)
    for group in filter(None, groups):
        record = with_choices(record, group, rounds)
        record.save(path)
    if 1 in threads and chosen != "survey" and only in lengths.NAME:
        record = with_rungs(record, lengths.FULL if chosen == "full" else lengths.QUICK, rounds)
        record.save(path)
    if chosen == "full" and only in footprint.NAME:
        record = replace(record, footprints=(footprint.measure(),))
    if (chosen == "full" or only) and only in models.NAME and models.installed():
        for dtype in models.DTYPES:
            length, times = 16384 if chosen == "full" else 4096, min(rounds, MODEL_ROUNDS)
            record = with_models(record, models.prefills(length, dtype, min(threads), times))
            record.save(path)
    if setup:
        record = replace(record, costs=(*start.costs(), *overhead.costs()), setups=tuple(setups(chosen == "full")))
    replace(record, peaks=_best(found, peak.peaks())).save(path)
    click.echo(f"wrote {path}")


def _cases(chosen: str, threads: Sequence[int]) -> Iterator[tuple[int, Case]]:
    if chosen == "survey":
        yield from ((1, case) for case in cases.survey())
        return
    for count in threads:
        heads = 2 * count
        yield from ((count, case) for case in (cases.full(heads) if chosen == "full" else cases.quick(heads)))


def _groups(chosen: str, threads: Sequence[int]) -> tuple[tuple[Case, ...], ...]:
    """Cases that choose keys, on one thread of a CPU."""
    if chosen == "survey" or 1 not in threads:
        return ()
    return chosen_cases.full() if chosen == "full" else chosen_cases.quick()


def with_choices(record: Record, group: Sequence[Case], rounds: int) -> Record:
    """The record with these cases of one shape measured as well."""
    found = choosing.measure(group, threads=1, clock="cpu", rounds=rounds)
    for choice in found:
        click.echo(f"{choice.workload.name}: {density(choice):.1%} of the pairs")
        for timing in choice.timings:
            click.echo(f"{'':36} {timing.threads} threads  {timing.peer:18} {outcome(timing)}")
    names = {choice.workload.name for choice in found}
    return replace(record, choices=(*(old for old in record.choices if old.workload.name not in names), *found))


def with_rungs(record: Record, sizes: Sequence[int], rounds: int) -> Record:
    """The record with every ladder measured anew."""
    found = []
    for rung in lengths.measure(sizes, rounds):
        click.echo(f"{rung.pattern:36} {rung.shape.kv_len:6} tokens  {gain(rung):.2f} x dense")
        found.append(rung)
    return replace(record, rungs=tuple(found))


def with_models(record: Record, prompts: Iterable[Prefill]) -> Record:
    """The record with these prompts through a whole model as well."""
    found = tuple(prompts)
    for one in found:
        ratio = f"{found[0].seconds / one.seconds:.2f} x {found[0].implementation}"
        click.echo(f"{one.model:60} {one.threads} threads  {one.implementation:26} {one.seconds:8.3f} s  {ratio}")
    kept = (old for old in record.prefills if (old.model, old.threads) != (found[0].model, found[0].threads))
    return replace(record, prefills=(*kept, *found))


def with_case(record: Record, case: Case, threads: int, plan: Plan) -> Record:
    """The record with this case measured as well."""
    posed = problem(case)
    clock: Clock = "cpu" if threads == 1 else "wall"
    described = replace(workload(case, posed), name=f"{case.name}, {posed.shape.q_heads} heads")
    found = measure(case, posed, threads, clock, plan.rounds)
    timings = [replace(timing, workload=described.name) for timing in found]
    for timing in timings:
        click.echo(f"{case.name:36} {threads} threads  {timing.peer:12} {outcome(timing)}")
    workloads = (work for work in record.workloads if work.name != described.name)
    others = (old for old in record.timings if (old.workload, old.threads) != (described.name, threads))
    return replace(record, workloads=(*workloads, described), timings=(*others, *timings))


def measure(case: Case, posed: Problem, threads: int, clock: Clock, rounds: int) -> Iterator[Timing]:
    """One Timing per peer of the case, or the reason why it has none."""
    torch.set_num_threads(threads)
    ready: dict[str, Ready] = {}
    # Inductor writes the number of threads into the code it compiles.
    with torch._inductor.config.patch({"cpp.threads": threads}):
        for name in case.peers:
            try:
                ready[name] = _ready(name, posed)
            except AttnccError as error:
                yield Timing(
                    case.name, name, threads, clock, PEERS[name].same_result(posed), reason=str(error).splitlines()[0]
                )
        calls, probe = {name: one.call for name, one in ready.items()}, peak.yardstick(case.dtype)
        others = {PEAK: lambda: 1 / probe()} if probe and threads == 1 else {}
        times = interleave(calls, clock, rounds, others)
        reached = 1e6 / times.pop(PEAK).micros if others else None
        for name, found in times.items():
            same, norm = ready[name].same_result, ready[name].error
            figures = found.micros, found.spread, found.samples
            yield Timing(case.name, name, threads, clock, same, *figures, norm, peak=reached)


@dataclass(frozen=True, slots=True)
class Ready:
    """A peer that has made its first call; `error` is that of its result, None if it means something else."""

    call: Call
    same_result: bool
    error: float | None


def _ready(name: str, posed: Problem) -> Ready:
    call, same = PEERS[name].prepare(posed), PEERS[name].same_result(posed)
    out = call()
    return Ready(call, same, sampled_error(posed, out) if same else None)


def _best(before: Sequence[Peak], after: Sequence[Peak]) -> tuple[Peak, ...]:
    return tuple(max(pair, key=lambda found: found.gflops) for pair in zip(before, after, strict=True))


if __name__ == "__main__":
    main()
