"""Which launches serve a layer whose heads have different patterns?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from torch import Tensor

from attncc.errors import PatternDoesNotFit
from attncc.models.fit import counts_heads
from attncc.models.rows import known
from attncc.pattern import Pattern

#: All heads; heads at equal distances, which are a view of all; or any heads, which must be copied.
Heads: TypeAlias = "range | tuple[int, ...] | None"


@dataclass(frozen=True, slots=True)
class Role:
    """What becomes of a choice besides its own call: the name under which later layers find it; the name under which it
    is found instead of made; how many steps of decoding it serves; whether its own call is dense all the same."""

    share: str | None = None
    reuse: str | None = None
    refresh: int = 1
    attend_all: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """Query heads that have one pattern, in ascending order."""

    pattern: Pattern
    heads: tuple[int, ...]
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """One call: its query heads, and the KV heads that these look at.

    `op` names the operator of the pattern in `torch.ops.attncc`, called with `values` behind query, key and value;
    `name` is the pattern's in `attncc.models.rows`; `sinks` its input of sink logits, if it has one.
    """

    op: str
    values: tuple[int, ...]
    name: str
    sinks: str | None
    q_heads: Heads = None
    kv_heads: Heads = None
    role: Role | None = None


def launches(shares: Sequence[Share], q_heads: int, kv_heads: int, copies: bool) -> tuple[Launch, ...]:
    """The calls that compute `shares`, which are all `q_heads` heads, each once.

    One for each share, where its query heads are spread evenly over its KV heads; else one for each number of query
    heads that its KV heads have. Where `copies` are not worth their time, as in decoding, where they would be of the
    whole cache, one for each run of heads at equal distances; heads that choose together stay together. Raises
    PatternDoesNotFit.
    """
    if len(shares) == 1:
        return (launch(shares[0].pattern, role=shares[0].role),)
    found: list[Launch] = []
    for share in shares:
        if counts_heads(share.pattern):
            reason = "it treats heads by their number, and is given only some of them"
            raise PatternDoesNotFit(share.pattern.name, reason)
        together = any(one.heads.startswith("all") for one in share.pattern.bound.selections)
        mine = list(_of_share(share, q_heads // kv_heads, copies or together))
        if together and len(mine) > 1:
            reason = "its heads choose together, and are not as many of each KV head"
            raise PatternDoesNotFit(share.pattern.name, reason)
        found += mine
    return tuple(found)


def launch(pattern: Pattern, q_heads: Heads = None, kv_heads: Heads = None, role: Role | None = None) -> Launch:
    """The call of a pattern that has no inputs but sinks."""
    sinks = next((one.name for one in pattern.bound.inputs), None)
    op = pattern.op._schema.name.removeprefix("attncc::")
    return Launch(op, pattern.values, known(pattern), sinks, q_heads, kv_heads, role)


def taken(tensor: Tensor, heads: Heads) -> Tensor:
    """`tensor`, [batch, heads, ...], of these heads only: a view if they are at equal distances."""
    return tensor if heads is None else tensor[:, index(heads)]


def index(heads: range | tuple[int, ...]) -> slice | list[int]:
    """What a tensor is indexed with to have these heads."""
    return slice(heads.start, heads.stop, heads.step) if isinstance(heads, range) else list(heads)


def _of_share(share: Share, group: int, copies: bool) -> Iterator[Launch]:
    owned: dict[int, list[int]] = {}
    for head in share.heads:
        owned.setdefault(head // group, []).append(head)
    by_count: dict[int, list[int]] = {}
    for owner, heads in owned.items():
        by_count.setdefault(len(heads), []).append(owner)
    for owners in by_count.values():
        pieces: tuple[tuple[int, ...], ...] = (tuple(owners),) if copies else runs(owners)
        for run in pieces:
            mine = tuple(head for owner in run for head in owned[owner])
            yield launch(share.pattern, even(mine), even(run), share.role)


def runs(heads: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """`heads`, which ascend, as few runs at equal distances, each as long as it can be."""
    found: list[list[int]] = []
    for head in heads:
        last = found[-1] if found else []
        if last and (len(last) < 2 or head - last[-1] == last[1] - last[0]):
            last.append(head)
        else:
            found.append([head])
    return tuple(tuple(run) for run in found)


def even(heads: tuple[int, ...]) -> range | tuple[int, ...]:
    """Heads at equal distances as a range, others as they are."""
    steps = {after - before for before, after in pairwise(heads)} or {1}
    return range(heads[0], heads[-1] + 1, steps.pop()) if len(steps) == 1 else heads
