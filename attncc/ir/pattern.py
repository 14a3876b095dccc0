"""A pattern with all names bound: what is kept, how scores are changed, how they are combined."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

from attncc.ir.expr import BoolExpr
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
Combine: TypeAlias = Literal["softmax"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """What to compute, independent of any kernel. `params` holds every declared parameter with its value in force."""

    name: str
    about: str
    source: str
    params: tuple[tuple[str, int], ...]
    mask: BoolExpr
    score: tuple[ScoreRule, ...] = ()
    combine: Combine = "softmax"

    def formula(self) -> str:
        """The mask as it would stand in a pattern file."""
        return text(self.mask)

    def digest(self) -> str:
        """Sixteen hex digits that change with the meaning (mask, parameters, score, combine) and nothing else."""
        meaning = repr((self.formula(), sorted(self.params), self.score, self.combine))
        return hashlib.sha256(meaning.encode()).hexdigest()[:16]
