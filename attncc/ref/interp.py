"""The meaning of a TilePlan: runs it tile by tile in numpy, and counts the units it visits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from attncc.ir.alibi import slopes
from attncc.ir.expr import Q_FIRST, Q_LAST, STRIP, TRUE, Attribute, parts
from attncc.ir.pattern import Alibi, Pattern, Scale, Softcap
from attncc.ir.text import text
from attncc.ir.tile import Body, Branch, List, Run, Strips, TilePlan
from attncc.ref.evaluate import Bools, Ints, constants, number, truth
from attncc.ref.walk import NOTHING_HELD, Held, visited

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Visit:
    """Keys first to stop - 1, looked at by one query tile; `run` is the run of the plan that they come from."""

    first: int
    stop: int
    run: Run


@dataclass(frozen=True, slots=True)
class QueryTile:
    """Existing rows q_first to q_last (absolute positions, both included) and the runs of keys that they visit."""

    q_first: int
    q_last: int
    visits: tuple[Visit, ...]


def visits(
    plan: TilePlan, q_len: int, kv_len: int, head: int = 0, batch: int = 0, mine: Held = NOTHING_HELD
) -> Iterator[QueryTile]:
    """What each query tile of one head visits, in the order of the plan; empty runs are left out, and runs over lists
    are cut where keys are missing. `mine` is what the head has of the lists and inputs of the call."""
    offset, block_m = kv_len - q_len, plan.tiling.block_m
    for tile in range(offset // block_m, (kv_len - 1) // block_m + 1):
        start, stop = tile * block_m, (tile + 1) * block_m
        q_first, q_last = max(offset, start), min(kv_len, stop) - 1
        known = {Q_FIRST: q_first, Q_LAST: q_last, "head": head, "batch": batch}
        known |= {Q_FIRST: start, Q_LAST: stop - 1} if plan.aligned else {}
        values = constants(plan.pattern, q_len, kv_len)
        values |= {name: np.asarray(value, np.int64) for name, value in known.items()}
        found = _visits(plan.body, values)
        if plan.lists or any(run.only != TRUE for run in plan.runs()):
            lists = {one.name: one for one in plan.lists}
            of_tile = {**values, Q_FIRST: np.asarray(q_first, np.int64)}
            found = (part for visit in found for part in _sieved(visit, lists, mine, of_tile))
        yield QueryTile(q_first, q_last, tuple(found))


def _visits(body: Body, values: Mapping[str, Ints]) -> Iterator[Visit]:
    for node in body:
        match node:
            case Branch(condition, then, orelse):
                yield from _visits(then if truth(condition, values) else orelse, values)
            case Strips(lo, hi, step, inner):
                for strip in range(int(number(lo, values)), int(number(hi, values)), step):
                    yield from _visits(inner, {**values, STRIP: np.asarray(strip, np.int64)})
            case Run(first, stop):
                start, end = int(number(first, values)), int(number(stop, values))
                if start < end:
                    yield Visit(start, end, node)


def _sieved(visit: Visit, lists: Mapping[str, List], mine: Held, values: Mapping[str, Ints]) -> Iterator[Visit]:
    """The keys of a visit that its run really visits, as visits without gaps."""
    if visit.run.over is None and visit.run.only == TRUE:
        yield visit
        return
    between = np.arange(visit.first, min(visit.stop, int(values["kv_len"])))
    found = visited(visit.run, between, lists, mine, values)
    for piece in np.split(found, np.flatnonzero(np.diff(found) != 1) + 1):
        if piece.size:
            yield Visit(int(piece[0]), int(piece[-1]) + 1, visit.run)


def attend(
    plan: TilePlan, query: Floats, key: Floats, value: Floats, scale: float, mine: Held = NOTHING_HELD
) -> tuple[Floats, Floats]:
    """(out, lse) in float64, shapes as in `ref.dense.attention`, by the plan's runs and an online softmax; `mine` is
    what every head has of the lists and inputs of the call."""
    batch, q_heads, q_len, head_dim = query.shape
    kv_len, group = key.shape[2], q_heads // key.shape[1]
    out = np.full((batch, q_heads, q_len, head_dim), np.nan)
    lse = np.full((batch, q_heads, q_len), np.nan)
    for b, h in np.ndindex(batch, q_heads):
        keys, values = key[b, h // group], value[b, h // group]
        for tile in visits(plan, q_len, kv_len, h, b, mine):
            rows = slice(tile.q_first - (kv_len - q_len), tile.q_last - (kv_len - q_len) + 1)
            state = _State.empty(rows.stop - rows.start, head_dim)
            for visit in tile.visits:
                seen = np.arange(visit.first, visit.stop)
                score = query[b, h, rows] @ keys[seen].T * scale
                score = _ruled(plan.pattern, score, tile, seen, slopes(q_heads)[h])
                kept = residual(plan, tile, visit.run, seen, q_len, kv_len, h, b, mine)
                state = state.add(np.where(kept, score, -np.inf), values[seen])
            out[b, h, rows], lse[b, h, rows] = state.result()
    return out, lse


def residual(
    plan: TilePlan,
    tile: QueryTile,
    run: Run,
    seen: Ints,
    q_len: int,
    kv_len: int,
    head: int = 0,
    batch: int = 0,
    mine: Held = NOTHING_HELD,
) -> Bools:
    """What a kernel keeps of the keys `seen` of a run: [rows, keys], all true where the run has no mask."""
    rows = np.arange(tile.q_first, tile.q_last + 1)
    values = constants(plan.pattern, q_len, kv_len)
    values |= {"head": np.asarray(head), "batch": np.asarray(batch), "q": rows[:, None], "kv": seen}
    if run.mask is None:
        return np.broadcast_to(np.asarray(True), (rows.size, seen.size))
    positions = {"q": rows[:, None].clip(0), "kv": seen}
    inputs = [part for part in parts(run.mask) if isinstance(part, Attribute)]
    values |= {text(part): mine.tokens[part.name][positions[part.position]] for part in inputs}
    kept = truth(run.mask, values)
    return np.broadcast_to(kept, (rows.size, seen.size))


def _ruled(pattern: Pattern, score: Floats, tile: QueryTile, seen: Ints, slope: float) -> Floats:
    for rule in pattern.score:
        match rule:
            case Scale(factor):
                score = score * factor
            case Softcap(cap):
                score = cap * np.tanh(score / cap)
            case Alibi():
                score = score - slope * (np.arange(tile.q_first, tile.q_last + 1)[:, None] - seen)
            case _:
                assert_never(rule)
    return score


@dataclass(frozen=True, slots=True)
class _State:
    """Online softmax of some rows: largest score, sum of weights, weighted sum of values."""

    row_max: Floats
    row_sum: Floats
    acc: Floats

    @staticmethod
    def empty(rows: int, head_dim: int) -> _State:
        return _State(np.full(rows, -math.inf), np.zeros(rows), np.zeros((rows, head_dim)))

    def add(self, score: Floats, value: Floats) -> _State:
        row_max = np.maximum(self.row_max, score.max(axis=1, initial=-math.inf))
        shift = np.where(np.isneginf(row_max), 0.0, row_max)
        weight = np.exp(score - shift[:, None])
        rescale = np.exp(self.row_max - shift)
        row_sum = self.row_sum * rescale + weight.sum(axis=1)
        return _State(row_max, row_sum, self.acc * rescale[:, None] + weight @ value)

    def result(self) -> tuple[Floats, Floats]:
        """(out, lse); 0 and -inf for rows without a key."""
        empty = self.row_sum == 0
        with np.errstate(divide="ignore"):
            lse = np.where(empty, -math.inf, self.row_max + np.log(self.row_sum))
        return self.acc / np.where(empty, 1.0, self.row_sum)[:, None], lse
