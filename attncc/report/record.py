"""What a bench run leaves behind: workloads, timings, peaks, set-up costs and the machine they were measured on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from attncc.errors import BenchFileUnreadable
from attncc.ir.schedule import DType, Shape
from attncc.library.places import write_whole
from attncc.report.decode import decoded

#: `cpu` is the process's CPU time (one thread, robust on a shared machine); `wall` is elapsed time; `gpu` is the time
#: between two events on the GPU.
Clock: TypeAlias = Literal["cpu", "wall", "gpu"]


@dataclass(frozen=True, slots=True)
class Workload:
    """One attention call. `kept_pairs` are the (query, key) pairs of all heads and batches that the mask keeps;
    `visited_pairs` those that the kernel's tiles compute, None where that is not known."""

    name: str
    pattern: str
    params: Sequence[tuple[str, int]]
    shape: Shape
    dtype: DType
    kept_pairs: int
    visited_pairs: int | None

    @property
    def useful_flops(self) -> int:
        """Two multiply-adds per kept pair and head dimension: 4 * head_dim."""
        return 4 * self.shape.head_dim * self.kept_pairs


@dataclass(frozen=True, slots=True)
class Timing:
    """One peer on one workload: the median of `samples` in microseconds, and half the interquartile range as a
    fraction of it; or the reason there is none. `same_result` is False for a peer that computes a denser result.
    `error` is the relative error norm against float64, on sampled rows; `peak`, in GFLOP/s, the median of what one
    core reached in the same rounds on nothing but multiply-adds."""

    workload: str
    peer: str
    threads: int
    clock: Clock
    same_result: bool
    micros: float | None = None
    spread: float | None = None
    samples: int = 0
    error: float | None = None
    reason: str | None = None
    peak: float | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """What one core reaches on nothing but multiply-adds held in registers, in GFLOP/s of CPU time."""

    instruction: str
    gflops: float


@dataclass(frozen=True, slots=True)
class SetUp:
    """What it takes before the first kernel of a mask can run at this length."""

    peer: str
    pattern: str
    kv_len: int
    seconds: float | None
    bytes: int | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Time that is not spent in a kernel: around a call, or before the first result."""

    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Choice:
    """A workload whose keys are chosen or given at run time, taken apart: `timings` has one entry for each part, the
    parts that `report.choices` names. `kept_pairs` of the workload are estimated from sampled rows. `list_bytes` is the
    size of all lists, `entry_bytes` that of the entries in them."""

    workload: Workload
    list_bytes: int
    entry_bytes: int
    timings: Sequence[Timing]


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the lists of one call occupy, and how long it took to choose them. `padded_bytes` is what an index of
    32 bits takes that has room for every choice in each tile of 64 queries, calculated."""

    pattern: str
    params: Sequence[tuple[str, int]]
    kv_len: int
    heads: int
    entry_bytes: int
    list_bytes: int
    padded_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Rung:
    """One length of a pattern, on one thread: microseconds of attncc's call, choosing included, and of dense causal
    attention by attncc and by SDPA, in the same rounds."""

    pattern: str
    params: Sequence[tuple[str, int]]
    dtype: DType
    shape: Shape
    micros: float
    own_dense: float
    sdpa_dense: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the decision for one kind of call came about.

    `funnel` counts the schedules left after each stage, `pruned` those that fell out before and after compiling, by
    reason. `best` is the best ratio to the default schedule after each trial. `foreseen` pairs what the model says of a
    schedule, from all that was measured with other patterns, with what was measured of it, both relative to the default
    schedule; the three figures after it are those of `autotune.ranking.Accuracy`, None where fewer than two were
    measured.
    """

    key: str
    kernel: str
    kind: str
    funnel: Sequence[tuple[str, int]]
    pruned: Sequence[tuple[str, int]]
    best: Sequence[float]
    level: str = ""
    foreseen: Sequence[tuple[float, float]] = ()
    rank_correlation: float | None = None
    regret_1: float | None = None
    regret_5: float | None = None


@dataclass(frozen=True, slots=True)
class Prefill:
    """A prompt of `kv_len` tokens through a whole model, by one attention implementation of Transformers: the median
    of `samples` in seconds (of CPU time on one thread, of wall time on more), and half the interquartile range as a
    fraction of it. `same_result` is False where some of what the model would see is left out; `error` is the relative
    norm of the difference of the last logits from those of `sdpa`."""

    model: str
    implementation: str
    kv_len: int
    threads: int
    same_result: bool
    seconds: float
    spread: float
    samples: int
    error: float


@dataclass(frozen=True, slots=True)
class Record:
    """A whole run. `environment` names everything that can change a time: CPU, compiler, versions, load. `bandwidth` is
    what one core reads from memory, in GB/s of CPU time."""

    device: str
    environment: Sequence[tuple[str, str]]
    peaks: Sequence[Peak] = ()
    workloads: Sequence[Workload] = ()
    timings: Sequence[Timing] = ()
    setups: Sequence[SetUp] = ()
    costs: Sequence[Cost] = ()
    choices: Sequence[Choice] = ()
    footprints: Sequence[Footprint] = ()
    bandwidth: float | None = None
    rungs: Sequence[Rung] = ()
    tunings: Sequence[Tuning] = ()
    prefills: Sequence[Prefill] = ()

    def save(self, path: Path) -> None:
        """Writes JSON, all or nothing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(self), indent=1) + "\n")


def load(path: Path) -> Record:
    """The record in `path`; raises BenchFileUnreadable if it is missing or is no such file."""
    try:
        return decoded(Record, json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise BenchFileUnreadable(path, str(error)) from error
