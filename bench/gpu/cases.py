"""Which calls are measured on a GPU, and against whom? What goals ask for comes first."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from attncc.ir.schedule import DType, Shape
from attncc.report.goals import CUDNN, FLASH, FLEX, OWN_DENSE
from attncc.report.speed import OURS
from bench import cases
from bench.cases import Case, Mask

FIXED = frozenset(cases.fixed())

#: Dense attention by attncc is no peer of itself, and FlexAttention none of what a `mask_mod` cannot say.
STATIC, DENSE = (OURS, OWN_DENSE, CUDNN, FLASH, FLEX), (OURS, CUDNN, FLASH, FLEX)

DTYPE: DType = "bfloat16"
Q_HEADS, KV_HEADS = 32, 8
HEAD_DIMS, BATCHES, LENGTHS = (128, 64), (1, 4), (4096, 16384, 32768, 131072, 1048576)
#: Where every pattern is held against dense attention and FlexAttention.
COMPARED = 32768

#: Masks of the grid: dense, a window, sinks with a window.
GRID = (
    ("causal", "causal", ()),
    ("window 1024", "sliding_window", (("window", 1024),)),
    ("A-shape 128+1024", "a_shape", (("sink", 128), ("window", 1024))),
)

#: What chooses keys, or combines them otherwise, and at which lengths. The budgets are published ones: the smaller
#: for vertical-slash from where it may pay, the larger where it was meant for.
CHOSEN = (
    ("vertical_slash", (("vertical", 30), ("slash", 800)), (16384, 32768, 131072, 1048576)),
    ("vertical_slash", (("vertical", 1000), ("slash", 6096)), (131072, 1048576)),
    ("block_sparse", (("top", 100),), (16384, 32768, 131072, 1048576)),
    ("hip", (), (32768, 1048576)),
    ("landmark", (), (16384, 32768)),
)
#: No `mask_mod` says what it means.
UNSAID = ("landmark",)

#: Cases of one shape that are timed in the same rounds, on the same tensors.
Group: TypeAlias = tuple[Case, ...]


def every() -> tuple[Group, ...]:
    """All cases, each once, the goals' first."""
    known = {group[0].name: group for group in (*grid(), *goals())}
    first = [group[0].name for group in goals()]
    return (*(known[name] for name in first), *(known[name] for name in known if name not in first))


def goals() -> Iterator[Group]:
    """Dense attention at 16K, every fixed mask at 32K, then what chooses keys, short calls first."""
    yield (static(Mask("causal", "causal", (), 16384), shape(16384)),)
    yield (static(Mask("causal", "causal", (), COMPARED), shape(COMPARED)),)
    yield from ((static(_labelled(name), shape(COMPARED)),) for name in sorted(FIXED) if name != "causal")
    chosen = sorted(_chosen(), key=_tokens)
    yield from (tuple(group) for _, group in itertools.groupby(chosen, key=_tokens))


def grid() -> Iterator[Group]:
    """Three masks at all sizes."""
    for kv_len, head_dim, batch in itertools.product(LENGTHS, HEAD_DIMS, BATCHES):
        for label, pattern, params in GRID:
            yield (static(Mask(label, pattern, params, kv_len), shape(kv_len, head_dim, batch)),)


def shape(kv_len: int, head_dim: int = 128, batch: int = 1) -> Shape:
    """A whole prompt of a grouped-query model."""
    return Shape(batch, Q_HEADS, KV_HEADS, kv_len, kv_len, head_dim)


def static(mask: Mask, size: Shape) -> Case:
    """A case of a fixed mask, with every peer that can be asked for it."""
    peers = DENSE if mask.pattern == "causal" else STATIC
    return Case(_name(mask.label, size), mask.pattern, mask.params, size, DTYPE, _short(peers, size))


def fixed(case: Case) -> bool:
    """Whether the pattern is nothing but a mask and score rules."""
    return case.pattern in FIXED


def named(found: Iterable[Group], part: str) -> tuple[Group, ...]:
    """Of each group the cases whose name contains this."""
    wanted = (tuple(case for case in group if part in case.name) for group in found)
    return tuple(filter(None, wanted))


def _labelled(name: str) -> Mask:
    label, params = next(((label, params) for label, pattern, params in GRID if pattern == name), (name, ()))
    return Mask(label, name, params, COMPARED)


def _chosen() -> Iterator[Case]:
    for pattern, params, lengths in CHOSEN:
        label = ", ".join((f"chosen {pattern}", *(f"{name} {value}" for name, value in params)))
        peers = (CUDNN, FLASH) if pattern in UNSAID else (CUDNN, FLASH, FLEX)
        for kv_len in lengths:
            size = shape(kv_len)
            yield Case(_name(label, size), pattern, params, size, DTYPE, _short(peers, size))


def _short(peers: tuple[str, ...], size: Shape) -> tuple[str, ...]:
    """Of two dense calls that take half a minute, the faster one is enough."""
    return tuple(peer for peer in peers if peer != FLASH or size.kv_len < LENGTHS[-1])


def _tokens(case: Case) -> int:
    return case.shape.kv_len


def _name(label: str, size: Shape) -> str:
    return f"{label}, {size.kv_len}, d{size.head_dim}, batch {size.batch}, {DTYPE}"
