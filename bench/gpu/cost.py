"""What will a call take, in seconds and bytes, before it is made? Assumed, so that nothing is begun that cannot end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import torch

from attncc.autotune.gpus import figures
from attncc.device import DeviceModel
from attncc.ir.expr import names
from attncc.ir.schedule import BYTES, Shape
from attncc.ref import dense
from attncc.report.choices import ATTENTION, DENSE, SELECTION
from attncc.report.goals import CUDNN, FLASH, FLEX, OWN_DENSE
from attncc.report.speed import OURS
from attncc.spec import load, lower
from bench import flex, flex_lists
from bench.cases import Case
from bench.gpu.cases import Group, fixed

#: Shares of the peak that are assumed, to plan with; choosing is no product of all pairs, and takes a twentieth of it.
REACHED: Final[Mapping[str, float]] = {
    CUDNN: 0.6, FLASH: 0.35, FLEX: 0.35, OURS: 0.35, OWN_DENSE: 0.35, DENSE: 0.35, ATTENTION: 0.35, SELECTION: 7.0,
}  # fmt: skip
#: Parts that have only what is kept to do.
SPARSE: Final = frozenset((OURS, ATTENTION, FLEX))
#: Parts that the cases of a group have in common.
SHARED: Final = frozenset((DENSE, CUDNN, FLASH))
#: Seconds that a peer takes once: to generate and compile, or to search a handful of compiled kernels.
PREPARED: Final[Mapping[str, float]] = {FLEX: 40.0, OURS: 5.0, OWN_DENSE: 5.0, DENSE: 5.0, ATTENTION: 10.0}
#: Seconds for each block of a BlockMask from a plan, which the host lists row by row.
LISTED: Final = 7e-7
#: FlexAttention times so many kernels, each so often, on a BlockMask of its own that has all blocks, twice.
SEARCHED, TIMED, MADE_UP = 7, 4, 2
#: A call that takes longer is not made, and a search that takes longer is left out.
MOST_SECONDS, MOST_SEARCH = 30.0, 90.0
#: Rounds, and what all of them may take as long as that leaves two.
ROUNDS, LEAST_ROUNDS, ROUNDS_SECONDS = 7, 2, 30.0
#: Share of a GPU's memory that is there for tensors.
USABLE: Final = 0.975
#: What is chosen at run time cannot be foreseen; this share of dense attention is assumed.
ASSUMED_DENSITY: Final = 0.25
SAMPLED_ROWS: Final = 32


@dataclass(frozen=True, slots=True)
class Card:
    """Operations a second of dense 16-bit products, and bytes that tensors may occupy."""

    name: str
    flops: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """One part of a case: seconds once and per call, bytes at the same time; `reason` says why it is not called.
    `searched`: FlexAttention has the time to search its kernels."""

    case: Case
    part: str
    prepare: float
    seconds: float
    bytes: int
    reason: str | None = None
    searched: bool = False

    @property
    def called(self) -> bool:
        return self.reason is None


def card(device: DeviceModel) -> Card:
    """What is known of a GPU, or of the one most like it. Raises NoModel."""
    board = figures(device).board
    memory = int(device.memory_gb * USABLE * 2**30)
    return Card(device.name, board.matrix_flops * device.units * board.gigahertz * 1e9, memory)


def estimates(group: Group, on: Card) -> tuple[Estimate, ...]:
    """One for each part of each case; what all cases of a group share is there once, with the first."""
    shared: set[str] = set()
    found = []
    for case in group:
        found += [_estimate(case, part, on) for part in parts(case) if part not in shared]
        shared |= SHARED
    return tuple(found)


def parts(case: Case) -> tuple[str, ...]:
    """What is timed of a case: its peers, or, where keys are chosen, choosing, attending and the peers."""
    if fixed(case):
        return case.peers
    choosing = (SELECTION,) if lower.lower(load.find(case.pattern), dict(case.params)).selections else ()
    flexible = (FLEX,) if FLEX in case.peers else ()
    return (DENSE, *(peer for peer in case.peers if peer != FLEX), *choosing, ATTENTION, *flexible)


def rounds(found: Iterable[Estimate], most: int = ROUNDS) -> int:
    """How many interleaved rounds."""
    one = sum(each.seconds for each in found if each.called)
    return max(LEAST_ROUNDS, min(most, int(ROUNDS_SECONDS / one) if one else most))


def total(found: Sequence[Estimate], most: int = ROUNDS) -> float:
    """Seconds of a whole group: each part prepared, called once, timed once to see how long, then in rounds."""
    calls = 2 + rounds(found, most)
    return sum(each.prepare + calls * each.seconds for each in found if each.called)


@cache
def density(case: Case) -> float:
    """Kept pairs of all causal pairs, from rows that are spread over all; assumed where keys are chosen."""
    if not fixed(case):
        return ASSUMED_DENSITY
    pattern, shape = lower.lower(load.find(case.pattern), dict(case.params)), case.shape
    heads = shape.q_heads if "head" in names(pattern.mask) else 1
    step = max(1, shape.q_len // SAMPLED_ROWS)
    rows = torch.arange(step // 2, shape.q_len, step)
    kept = dense.kept(pattern, (1, heads, shape.q_len), shape.kv_len, rows=rows)
    return float(kept.sum()) / heads / float((rows + (shape.kv_len - shape.q_len + 1)).sum())


def _estimate(case: Case, part: str, on: Card) -> Estimate:
    prepare, seconds = PREPARED.get(part, 1.0), _dense_flops(case.shape) / (on.flops * REACHED[part])
    if part in SPARSE:
        seconds *= density(case)
    search = _search(case.shape, on) if part == FLEX else 0.0
    searched = 0 < search <= MOST_SEARCH
    prepare += search * searched
    if part == FLEX and fixed(case):
        prepare += LISTED * _blocks(case)
    size = sum(tensors(case.shape).values()) + _extra(case, part)
    return Estimate(case, part, prepare, seconds, size, _reason(seconds, size, on), searched)


def tensors(shape: Shape, element: int = BYTES["bfloat16"]) -> dict[str, int]:
    """Bytes of query, key and value, and of what a call returns."""
    queries = shape.batch * shape.q_heads * shape.q_len
    keys = shape.batch * shape.kv_heads * shape.kv_len
    row = shape.head_dim * element
    return {"query": queries * row, "key and value": 2 * keys * row, "out and lse": queries * (row + 4)}


def _extra(case: Case, part: str) -> int:
    shape = case.shape
    if part == CUDNN and shape.group > 1:
        # Where it refuses grouped queries, it gets a copy of the keys for each query head.
        return tensors(shape)["key and value"] * shape.group
    # Two tables of 32-bit numbers stay; while they are sorted, one of 64-bit numbers is beside them.
    return 16 * _blocks(case) if part == FLEX else 0


def _blocks(case: Case) -> int:
    """Blocks of a BlockMask of the case: one mask for all heads, or one for each where keys are chosen."""
    edge, heads = (flex.BLOCK, 1) if fixed(case) else (flex_lists.BLOCK, case.shape.q_heads)
    return heads * -(-case.shape.q_len // edge) * -(-case.shape.kv_len // edge)


def _reason(seconds: float, size: int, on: Card) -> str | None:
    if size > on.bytes:
        return f"not run: needs {size / 2**30:.0f} GiB, {on.bytes / 2**30:.0f} are there"
    if seconds > MOST_SECONDS:
        return f"not run: about {seconds:.0f} s a call"
    return None


def _search(shape: Shape, on: Card) -> float:
    return SEARCHED * TIMED * MADE_UP * 2 * _dense_flops(shape) / (on.flops * REACHED[FLEX])


def _dense_flops(shape: Shape) -> float:
    """Causal attention: two products of head_dim for each pair."""
    pairs = shape.batch * shape.q_heads * shape.q_len * (2 * shape.kv_len - shape.q_len + 1) / 2
    return 4.0 * shape.head_dim * pairs
