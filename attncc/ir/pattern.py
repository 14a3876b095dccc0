"""A pattern with all names bound: what is kept, how scores are changed, how they are combined."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import gcd
from typing import TypeAlias

from attncc.ir.expr import BoolExpr
from attncc.ir.selection import TOUCHED, Geometry, Input, Selection
from attncc.ir.text import text


@dataclass(frozen=True, slots=True)
class Scale:
    """score * factor, on top of the call's own `scale`."""

    factor: float


@dataclass(frozen=True, slots=True)
class Softcap:
    """cap * tanh(score / cap), as in Gemma 2 (arXiv 2408.00118)."""

    cap: float


@dataclass(frozen=True, slots=True)
class Alibi:
    """score - slope[head] * (q - kv), slopes of Press et al. (arXiv 2108.12409), section 3."""


ScoreRule: TypeAlias = Scale | Softcap | Alibi


@dataclass(frozen=True, slots=True)
class Combine:
    """How scores become weights: a file of `attncc.combines`, and its options, all of them."""

    rule: str
    options: tuple[tuple[str, int | str], ...] = ()

    def __str__(self) -> str:
        return " ".join((self.rule, *(f"{name}={value}" for name, value in self.options)))


SOFTMAX = Combine("softmax")


@dataclass(frozen=True, slots=True)
class Pattern:
    """What to compute, independent of any kernel. `params` holds every declared parameter with its value in force;
    `document` is the pattern file it was read from, and decides nothing."""

    name: str
    about: str
    source: str
    params: tuple[tuple[str, int], ...]
    mask: BoolExpr
    score: tuple[ScoreRule, ...] = ()
    combine: Combine = SOFTMAX
    inputs: tuple[Input, ...] = ()
    selections: tuple[Selection, ...] = ()
    document: str = field(default="", compare=False, repr=False)

    def geometry(self) -> Mapping[str, Geometry]:
        """What the members of each set are: of those chosen, and of those given."""
        chosen = {selection.name: selection.geometry for selection in self.selections}
        return chosen | {given.name: given.geometry for given in self.inputs if given.geometry is not None}

    def grain(self) -> int | None:
        """Query tiles whose rows divide this see the same members of every set; None if all tiles do."""
        shapes = [*self.geometry().values(), *(TOUCHED for one in self.inputs if one.per == "token")]
        grains = [shape.grain for shape in shapes if shape.grain is not None]
        return gcd(*grains) if grains else None

    def formula(self) -> str:
        """The mask as it would stand in a pattern file."""
        return text(self.mask)

    def digest(self) -> str:
        """Sixteen hex digits that change with the meaning (mask, parameters, score, combine) and nothing else."""
        meaning: object = (self.formula(), sorted(self.params), self.score, self.combine.rule)
        if self.combine.options or self.inputs or self.selections:
            given = [(one.name, one.per, one.geometry) for one in self.inputs]
            meaning = (meaning, self.combine.options, given, self.selections)
        return hashlib.sha256(repr(meaning).encode()).hexdigest()[:16]
