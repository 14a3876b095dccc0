"""How is a call timed: launched one by one or replayed as a graph, its operands still in the caches or not?"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

Launch: TypeAlias = Literal["eager", "graph"]
Caches: TypeAlias = Literal["warm", "cold"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Part of the key of what is tuned on a GPU. On a CPU calls are eager, and find what the call before left."""

    launch: Launch = "eager"
    caches: Caches = "warm"

    def __str__(self) -> str:
        return f"{self.launch} {self.caches}"


#: How most calls are made.
USUAL: Final = Policy()
POLICIES: Final = {
    str(each): each for each in itertools.starmap(Policy, itertools.product(get_args(Launch), get_args(Caches)))
}
