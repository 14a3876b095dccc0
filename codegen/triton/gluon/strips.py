"""Strips of keys as places that are counted through: which key lies at a place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attncc.codegen.triton.exprs import TritonPrinter
from attncc.codegen.triton.gluon.chains import own
from attncc.ir.expr import TRUE, Int, Param, Sub
from attncc.ir.linear import tidy
from attncc.ir.tile import Run, Strips


@dataclass(frozen=True, slots=True)
class Strip:
    """Every strip `lo`, `lo` + `step`, ... has `length` places, the first of them the key `first`, both texts."""

    lo: str
    step: int
    length: int
    first: str


def fits(strips: Strips, params: Mapping[str, int], block_n: int) -> bool:
    """Whether every strip has keys that all rows see, in whole steps."""
    return all(isinstance(node, Run) and _plain(node, params, block_n) for node in strips.body)


def strips_of(strips: Strips, numbers: TritonPrinter) -> list[tuple[Run, Strip, str]]:
    """For each run of strips that fit: the run, its strips, and how many places they have in all, as text."""
    lang = numbers.language
    lo, many = numbers(strips.lo, lang.sums), numbers(tidy(Sub(strips.hi, strips.lo)))
    found = []
    for run in strips.body:
        assert isinstance(run, Run), "strips that fit hold runs"
        length = _length(run, numbers.params)
        assert length is not None, "strips that fit have a length"
        strip = Strip(lo, strips.step, length, numbers(run.first, lang.sums))
        count = f"tl.maximum({many}, 0)" if strips.step == 1 else f"tl.cdiv(tl.maximum({many}, 0), {strips.step})"
        found.append((run, strip, f"{count} * {length}"))
    return found


def _plain(run: Run, params: Mapping[str, int], block_n: int) -> bool:
    length = _length(run, params)
    return run.over is None and own(run) == TRUE and length is not None and length % block_n == 0


def _length(run: Run, params: Mapping[str, int]) -> int | None:
    match tidy(Sub(run.stop, run.first)):
        case Int(value):
            return value
        case Param(name):
            return params[name]
        case _:
            return None
