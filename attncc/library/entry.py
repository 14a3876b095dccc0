"""What is known about a tuned kernel: every trial, and the decision taken from them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal, TypeAlias, get_args

from attncc.ir.schedule import Schedule, Shape
from attncc.library.key import KernelKey

#: `unrepeatable`: two calls with the same arguments gave different bits.
Reason: TypeAlias = Literal[
    "refused", "compile_error", "incorrect", "unrepeatable", "crash", "timeout", "out_of_memory", "spills"
]
Kind: TypeAlias = Literal["measured", "predicted"]
#: Races while searching, and the last one among the fastest.
Stage: TypeAlias = Literal["search", "confirm"]
REASONS: tuple[Reason, ...] = get_args(Reason)
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians over interleaved rounds, in microseconds per call. `control` is the default schedule's time in the same
    rounds; `spread` the median absolute deviation, less what slowed the control too; `samples` counts rounds."""

    micros: float
    spread: float
    samples: int
    control: float

    @property
    def ratio(self) -> float:
        """Time relative to the default schedule: what is comparable between rounds, days and machine loads."""
        return self.micros / self.control


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of a race: microseconds per call of the kernel with this source, and of the control."""

    source: str
    micros: float
    control: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a schedule has no time, as a word for counting and a sentence for people."""

    reason: Reason
    sentence: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One schedule tried. `source` is the digest of the generated source, so that a changed template is tried again."""

    schedule: Schedule
    source: str
    outcome: Timing | Failure

    @property
    def ratio(self) -> float:
        """Time relative to the default schedule; infinite for a failure."""
        return self.outcome.ratio if isinstance(self.outcome, Timing) else inf

    @property
    def micros(self) -> float:
        """Microseconds per call; infinite for a failure."""
        return self.outcome.micros if isinstance(self.outcome, Timing) else inf


@dataclass(frozen=True, slots=True)
class LibraryEntry:
    """The decision for a key, with its evidence.

    `shape` is the call that was timed (or, if `kind` is "predicted", modelled; then no figure was measured). `micros`
    and `default_micros` come from the same interleaved rounds of `confirmed` samples; `trials` counts the schedules
    that were tried. `made_with` is stored to be read, never compared: versions and the name of the machine. `ties` are
    the other schedules that could not be told apart from the chosen one; `document` is the pattern file, from which
    the source can be generated again.
    """

    key: KernelKey
    params: tuple[tuple[str, int], ...]
    formula: str
    shape: Shape
    schedule: Schedule
    source: str
    kind: Kind
    micros: float
    spread: float
    default_micros: float
    confirmed: int
    trials: int
    session: str
    made_with: tuple[tuple[str, str], ...]
    ties: tuple[Schedule, ...] = ()
    document: str = ""

    @property
    def speedup(self) -> float:
        """How many times faster than the default schedule."""
        return self.default_micros / self.micros
