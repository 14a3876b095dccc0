"""What a score of units is: the functions that a file of this room offers, and what they are called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from torch import Tensor

from attncc.ir.selection import Geometry, OptionValue
from attncc.lists import rows_of


@dataclass(frozen=True, slots=True)
class Call:
    """One call whose units are scored.

    query is [batch, q_heads, q_len, head_dim], key [batch, kv_heads, kv_len, head_dim], of any float type and strides;
    query row i has position kv_len - q_len + i. `scale` multiplies products, as in attention. `inputs` holds the
    tensors that the options name. Units that begin after the last position of a row block are not to be chosen where
    `causal`.
    """

    query: Tensor
    key: Tensor
    scale: float
    geometry: Geometry
    causal: bool
    options: Mapping[str, OptionValue]
    inputs: Mapping[str, Tensor]

    @property
    def kv_len(self) -> int:
        return self.key.shape[2]

    @property
    def q_len(self) -> int:
        return self.query.shape[2]

    @property
    def first(self) -> int:
        """The position of the first query; negative if there are more queries than keys."""
        return self.kv_len - self.q_len

    @property
    def rows(self) -> range:
        """The row blocks (absolute position // rows) that have queries here; range(1) if all queries share a choice."""
        return rows_of(self.q_len, self.kv_len, self.geometry.rows)

    @property
    def units(self) -> int:
        """How many units there are: blocks of keys, or distances from 0 to kv_len - 1."""
        return -(-self.kv_len // self.geometry.size)

    def queries(self, row: int) -> range:
        """The indices of the queries in row block `row`; of all queries if they share a choice."""
        rows = self.geometry.rows
        if rows is None:
            return range(self.q_len)
        return range(max(0, row * rows - self.first), min(self.q_len, (row + 1) * rows - self.first))

    def keys(self, unit: int) -> range:
        """The positions of the keys in `unit`."""
        return range(unit * self.geometry.size, min(self.kv_len, (unit + 1) * self.geometry.size))


#: float32 [batch, q_heads, rows asked for, units], from a part of `Call.rows`. Larger is better; a unit that gets minus
#: infinity is not chosen unless it must be. What a unit after the last position of the row block gets does not matter
#: where the choice is causal.
Scores: TypeAlias = Callable[[range], Tensor]


class Score(Protocol):
    """The public names of a file of this room. Its docstring says what is scored and where it is from; `OPTIONS`, a
    literal, names its options with their defaults (None: must be given)."""

    OPTIONS: Mapping[str, OptionValue | None]

    def device(self, call: Call) -> Scores:
        """The scores by operators of PyTorch, on the device of `call.query`, in float32, in bounded memory; the host
        never waits for the device."""
        ...

    def plain(self, call: Call) -> Scores:
        """The same in float64 (and float64 results), written to be obviously right, whatever it takes."""
        ...
