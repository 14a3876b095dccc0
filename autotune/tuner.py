"""From a pattern, a kind of call and a budget to a decision in the library."""

from __future__ import annotations

from contextlib import ExitStack

from attncc import compiler, settings
from attncc.autotune import strategies
from attncc.autotune.budget import UNLIMITED, Budget, Spending
from attncc.autotune.isolate import Isolated
from attncc.autotune.job import Job, writer_for
from attncc.autotune.progress import Progress, Silent
from attncc.autotune.sampler import IsolatedSampler, Sampler
from attncc.autotune.session import Session, TuneResult
from attncc.device import DeviceModel
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Shape
from attncc.library.store import KernelLibrary


def tune(
    pattern: Pattern,
    operands: Operands,
    shape: Shape,
    device: DeviceModel,
    *,
    library: KernelLibrary,
    budget: Budget = UNLIMITED,
    strategy: str = "descent",
    progress: Progress | None = None,
    seed: int = 0,
    writer: str | None = None,
    sampler: Sampler | None = None,
) -> TuneResult:
    """Tunes calls like `shape` on `device`, which is present, and keeps every trial and the decision in `library`.

    Trials that the library already holds are not made again, so an interrupted call goes on where it stopped; after
    Ctrl-C the decision so far is kept and KeyboardInterrupt raised. `writer` is the backend's module (None: the one for
    the device), `sampler` what times the schedules (None: another process on this machine).

    Raises UnknownStrategy, DefaultScheduleFailed, WorkerLost, and what the library and `settings.cache_dir` raise.
    """
    propose = strategies.named(strategy)
    settings.cache_dir()
    job = Job(pattern, operands, shape, device, writer or writer_for(device))
    with ExitStack() as stack:
        timed = sampler or IsolatedSampler(stack.enter_context(Isolated(job)))
        session = Session(job, job.space(), job.key(), timed, library, progress or Silent(), Spending(budget), seed)
        result = session.run(propose)
    compiler.forget()
    return result
