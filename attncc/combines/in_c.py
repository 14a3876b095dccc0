"""What a rule of combination is in C: the few places where its kernels differ from those of softmax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

#: How scores lie in a block: LANES queries of a key in a vector, or LANES keys of a query.
Layout: TypeAlias = Literal["queries", "keys"]


@dataclass(frozen=True, slots=True)
class InC:
    """The fields are C, in the words of the generated kernels: `vec` and its functions, LOG2_E, LOWEST, MASKED. In them
    an option in angle brackets stands for its value: a number, or the array of an input's numbers by query head.

    `weight` is a function that turns vectors of scores, in units of log 2, into weights. exp2_lanes gets them less the
    largest of the row so far, as softmax wants; another function gets the scores themselves, and row_max stays 0.
    `functions` defines what the other fields call.
    `begin_row`, if there is one, defines begin_row(call, head, factor, row_max, row_sum), which sets the state of a row
    before its first key; parts of the keys that are joined later have it once. factor is what the weight multiplies
    scores, and so row_max, by.
    `unit` is an option: how many keys make a unit that must be in a block of keys as a whole before it is weighed.
    `regroup` then defines regroup_unit(block, at, count, start) for either layout: it changes the scores of the
    `count` keys of block->position from `at` on, which belong to the unit that begins at key `start` (UNIT of them;
    fewer where it is incomplete). SCORE(key), in the layout "queries", is where the scores of queries from `lane` lie.
    """

    weight: str = "exp2_lanes"
    functions: str = ""
    begin_row: str = ""
    unit: str | None = None
    regroup: Mapping[Layout, str] = field(default_factory=dict)

    @property
    def relative(self) -> bool:
        """Whether weights are relative to the largest score of the row so far."""
        return self.weight == "exp2_lanes"
