"""From a pattern, a kind of call and a budget to a decision in the library."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from attncc import compiler, settings
from attncc.autotune import strategies
from attncc.autotune.attempts import Attempts
from attncc.autotune.budget import UNLIMITED, Budget, Spending
from attncc.autotune.compilers import Compilers
from attncc.autotune.isolate import Isolated
from attncc.autotune.job import Job, writer_for
from attncc.autotune.policy import USUAL, Policy
from attncc.autotune.progress import Progress, Silent
from attncc.autotune.records import Records
from attncc.autotune.sampler import PREPARE_SECONDS, IsolatedSampler, Sampler
from attncc.autotune.session import Session, TuneResult
from attncc.autotune.strategies import NOTHING, Prior
from attncc.autotune.watched import watched
from attncc.device import DeviceModel
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Shape
from attncc.library.store import KernelLibrary

STRATEGY: Final = "descent"


def tune(
    pattern: Pattern,
    operands: Operands,
    shape: Shape,
    device: DeviceModel,
    *,
    library: KernelLibrary,
    budget: Budget = UNLIMITED,
    strategy: str = STRATEGY,
    prior: Prior = NOTHING,
    policy: Policy = USUAL,
    progress: Progress | None = None,
    seed: int = 0,
    writer: str | None = None,
    sampler: Sampler | None = None,
) -> TuneResult:
    """Tunes calls like `shape` on `device`, which is present, and keeps every trial and the decision in `library`.

    Trials that the library already holds are not made again, so an interrupted call goes on where it stopped; after
    Ctrl-C the decision so far is kept and KeyboardInterrupt raised. `prior` is what the strategy is told beforehand.
    `writer` is the backend's module (None: the one for the device), `sampler` what times the schedules (None: other
    processes on this machine).

    Raises UnknownStrategy, ExtraMissing, DefaultScheduleFailed, WorkerLost, and what the library and
    `settings.cache_dir` raise.
    """
    propose = strategies.named(strategy)
    settings.cache_dir()
    job = Job(pattern, operands, shape, device, writer or writer_for(device), policy)
    with ExitStack() as stack:
        timed = sampler or watched(isolated_sampler(job, stack), device)
        session = opened(job, timed, library, progress or Silent(), Spending(budget), strategy, seed)
        result = session.run(propose, prior)
    compiler.forget()
    return result


def opened(
    job: Job,
    sampler: Sampler,
    library: KernelLibrary,
    progress: Progress,
    spending: Spending,
    strategy: str = STRATEGY,
    seed: int = 0,
) -> Session:
    """The session of a task, nothing of it done yet."""
    records = Records(library, job.key())
    how, last = strategies.rules(strategy), strategies.last(strategy)
    return Session(Attempts(job, job.space(), sampler, records, progress, spending, seed, how, last))


def isolated_sampler(job: Job, stack: ExitStack, seconds: float = PREPARE_SECONDS) -> IsolatedSampler:
    """What times schedules of `job` in other processes, which live as long as `stack`."""
    compilers = stack.enter_context(Compilers(job, seconds))
    return IsolatedSampler(stack.enter_context(Isolated(job)), compilers, prepare_seconds=seconds)
