"""Which patterns may a head get?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attncc.errors import BadCandidate, PatternNeedsInputs
from attncc.models.plan import DENSE, DENSE_NAME, Phase, Use
from attncc.pattern import SHIPPED, Pattern

#: Parameters that are the same for all candidates of a kind, so that their names need not tell them.
ALIKE = ("sink", "first", "near")
#: The least length whose attention is worth the choice.
SHORTEST = 256


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A use, by the name that the plan gives it; `pattern` runs it."""

    name: str
    use: Use
    pattern: Pattern


def dense() -> Candidate:
    """Every key up to the query: what heads are compared with, and what they get where nothing else is good enough."""
    return Candidate(DENSE_NAME, DENSE, SHIPPED["causal"])


def defaults(phase: Phase, length: int) -> tuple[Candidate, ...]:
    """Dense, and patterns of several sizes that see up to a half of `length` keys: sinks with a window, as in
    DuoAttention, and in prefill columns with diagonals and blocks, as in MInference; in decode pages, as in Quest."""
    windows = [window for window in (64, 256, 1024, 4096) if 4 * window <= length]
    found = [named("a_shape", {"sink": 64, "window": window}, ALIKE) for window in windows]
    if phase == "prefill":
        found += [named("vertical_slash", sizes, ALIKE) for sizes in _columns_and_diagonals(length)]
        found += [named("block_sparse", {"top": top}) for top in _units(length, 64)]
    else:
        found += [named("quest", {"top": top}) for top in _units(length, 16)]
    return (dense(), *found)


def _columns_and_diagonals(length: int) -> Iterator[dict[str, int]]:
    """Many of the one, many of the other, and some of both, in the proportions of MInference's table 7."""
    for columns, diagonals in ((64, 8), (16, 16), (8, 64)):
        yield {"vertical": max(16, length // columns), "slash": max(16, length // diagonals), "first": 16, "near": 64}


def _units(length: int, size: int) -> tuple[int, ...]:
    """Units of `size` keys: an eighth and a quarter of all."""
    return tuple(dict.fromkeys(max(3, length // size // part) for part in (8, 4)))


def named(pattern: str, params: dict[str, int], untold: tuple[str, ...] = ()) -> Candidate:
    """The candidate with these parameters, named after them except those `untold`. Raises what `Pattern.load` raises,
    and PatternNeedsInputs."""
    loaded = Pattern.load(pattern, **params)
    if loaded.bound.inputs:
        raise PatternNeedsInputs(loaded.name, loaded.bound.inputs[0].name)
    told = [value for key, value in params.items() if key not in untold]
    values = "_".join(str(value).replace("-", "minus_") for value in told)
    name = f"{loaded.name}_{values}" if values else loaded.name
    return Candidate(name[:64], Use(pattern, tuple(params.items())), loaded)


def written(texts: Sequence[str]) -> tuple[Candidate, ...]:
    """Dense, and the candidates of `texts`, each a pattern with its parameters, as `a_shape` or
    `a_shape:sink=4,window=512`. Raises BadCandidate, and what `named` raises."""
    found = [dense()]
    for text in texts:
        pattern, _, settings = text.partition(":")
        pairs = [setting.partition("=") for setting in settings.split(",") if setting.strip()]
        if not all(re.fullmatch(r"\s*-?[0-9]{1,10}\s*", value, re.ASCII) for _, _, value in pairs):
            raise BadCandidate(text)
        found.append(named(pattern, {name.strip(): int(value) for name, _, value in pairs}))
    return tuple(found)
