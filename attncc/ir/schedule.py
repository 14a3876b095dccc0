"""How to compute it: knobs, the space they span, and one choice in it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from attncc.errors import HeadsNotGrouped, UnsupportedHeadDim

KnobValue: TypeAlias = int | str
DType: TypeAlias = Literal["float32", "float16", "bfloat16"]
DTYPES: tuple[DType, ...] = ("float32", "float16", "bfloat16")
BYTES: Mapping[DType, int] = {"float32": 4, "float16": 2, "bfloat16": 2}

#: The head_dims that every backend has kernels for.
SMALLEST_HEAD_DIM, LARGEST_HEAD_DIM, HEAD_DIM_STEP = 16, 256, 8


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of one call: query [batch, q_heads, q_len, head_dim], key and value [batch, kv_heads, kv_len, head_dim].

    Raises HeadsNotGrouped.
    """

    batch: int
    q_heads: int
    kv_heads: int
    q_len: int
    kv_len: int
    head_dim: int

    def __post_init__(self) -> None:
        if self.q_heads % self.kv_heads:
            raise HeadsNotGrouped(self.q_heads, self.kv_heads)

    @property
    def group(self) -> int:
        """Query heads that share one KV head."""
        return self.q_heads // self.kv_heads


@dataclass(frozen=True, slots=True)
class Operands:
    """What a kernel is generated for besides the pattern: element type of query, key, value and out, and head_dim.

    Raises UnsupportedHeadDim.
    """

    dtype: DType
    head_dim: int

    def __post_init__(self) -> None:
        if not SMALLEST_HEAD_DIM <= self.head_dim <= LARGEST_HEAD_DIM or self.head_dim % HEAD_DIM_STEP:
            raise UnsupportedHeadDim(self.head_dim, SMALLEST_HEAD_DIM, LARGEST_HEAD_DIM, HEAD_DIM_STEP)


@dataclass(frozen=True, slots=True)
class Schedule:
    """One choice for each knob, in the order of the space."""

    choices: tuple[tuple[str, KnobValue], ...]

    def __getitem__(self, knob: str) -> KnobValue:
        for name, value in self.choices:
            if name == knob:
                return value
        raise KeyError(knob)

    def number(self, knob: str) -> int:
        """The choice for a knob whose choices are numbers."""
        value = self[knob]
        assert isinstance(value, int), f"knob {knob} is not a number"
        return value

    def switch(self, knob: str) -> int:
        """The number chosen for a knob that not every space has; 0 where there is none."""
        return self.number(knob) if any(name == knob for name, _ in self.choices) else 0

    def replace(self, knob: str, value: KnobValue) -> Schedule:
        return Schedule(tuple((n, value if n == knob else v) for n, v in self.choices))

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.choices)


@dataclass(frozen=True, slots=True)
class Knob:
    """A name, its choices in their natural order (neighbours are similar), and the default. Of choices that are
    `unforeseen`, models know nothing: only measuring can judge them."""

    name: str
    choices: tuple[KnobValue, ...]
    default: KnobValue
    unforeseen: tuple[KnobValue, ...] = ()

    def neighbours(self, value: KnobValue) -> Iterator[KnobValue]:
        """The choices next to `value`; for words, all others."""
        if isinstance(value, str):
            yield from (choice for choice in self.choices if choice != value)
            return
        at = self.choices.index(value)
        yield from self.choices[max(0, at - 1) : at]
        yield from self.choices[at + 1 : at + 2]


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """All schedules of the knobs for which `refusal` gives no reason."""

    knobs: tuple[Knob, ...]
    refusal: Callable[[Schedule], str | None] = field(default=lambda schedule: None)

    def default(self) -> Schedule:
        """The built-in schedule; always in the space."""
        return Schedule(tuple((knob.name, knob.default) for knob in self.knobs))

    def holds(self, schedule: Schedule) -> bool:
        """Whether `schedule` chooses for these knobs, in their order, and is legal."""
        named = tuple(name for name, _ in schedule.choices) == tuple(knob.name for knob in self.knobs)
        return (
            named and all(schedule[knob.name] in knob.choices for knob in self.knobs) and self.refusal(schedule) is None
        )

    def combinations(self) -> Iterator[Schedule]:
        """Every choice of the knobs, legal or not, in a fixed order."""
        for values in itertools.product(*(knob.choices for knob in self.knobs)):
            yield Schedule(tuple(zip((knob.name for knob in self.knobs), values, strict=True)))

    def schedules(self) -> Iterator[Schedule]:
        """Every legal schedule, in the same order."""
        return (schedule for schedule in self.combinations() if self.refusal(schedule) is None)

    def foreseen(self, schedule: Schedule) -> bool:
        """Whether models can speak of a schedule: none of its choices is one that only measuring can judge."""
        return not any(schedule[knob.name] in knob.unforeseen for knob in self.knobs)

    def neighbours(self, schedule: Schedule) -> Iterator[Schedule]:
        """Legal schedules that differ from `schedule` by one step of one knob."""
        for knob in self.knobs:
            for value in knob.neighbours(schedule[knob.name]):
                near = schedule.replace(knob.name, value)
                if self.refusal(near) is None:
                    yield near

    def sample(self, count: int, rng: random.Random) -> Sequence[Schedule]:
        """`count` different legal schedules (fewer if there are not so many), the default first."""
        rest = [schedule for schedule in self.schedules() if schedule != self.default()]
        return [self.default(), *rng.sample(rest, min(count - 1, len(rest)))]
