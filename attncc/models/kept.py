"""How does a choice of one layer serve later layers, and the next steps of decoding?"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from attncc.calls import State
from attncc.errors import PatternDoesNotFit
from attncc.lists import RowLists
from attncc.models.fit import Traits, dense, softcap_of
from attncc.models.grouping import Launch
from attncc.models.rows import pattern_known
from attncc.models.sequences import Part, parts
from attncc.pattern import Chosen, Pattern


@dataclass(frozen=True, slots=True)
class Choice:
    """The sets of one launch for each of its parts; its query heads, by their number in the layer; the sizes of the
    queries and keys of each part."""

    sets: tuple[Chosen, ...]
    heads: tuple[int, ...]
    sizes: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A choice that serves more steps: how many, and what its last key was, which tells whether a step continues."""

    choice: Choice
    left: int
    kv_len: int
    last_key: Tensor


class _Kept(threading.local):
    """What this thread has chosen: for later layers of the pass, by name, and for later steps, by module."""

    def __init__(self) -> None:
        self.shared: dict[str, list[Choice]] = {}
        self.held: WeakKeyDictionary[object, dict[tuple[int, ...], Held]] = WeakKeyDictionary()


_kept = _Kept()


def _with_role(
    one: Launch,
    owner: object,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    inputs: Mapping[str, Tensor],
    tokens: Tensor | None,
) -> State:
    """(out, lse) of a launch whose choice is shared, taken over, or kept. What is kept is no part of a graph, so a
    compiled model is one in pieces. A choice serves the next steps of the very sequences that it was made for."""
    assert one.role is not None, "a launch without a role is an operator"
    pattern, heads = pattern_known(one.name), tuple(one.q_heads or range(query.shape[1]))
    places = _places(query, tokens)
    calls = [(query[at][:, :, part.queries], key[at][:, :, part.keys]) for part in places for at in [part.batch]]
    choice = _choice(one, owner, pattern, heads, calls, key, scale, inputs)
    out, lse = torch.zeros_like(query), torch.full(query.shape[:3], -torch.inf, device=query.device)
    for part, sets, (mine, its) in zip(places, choice.sets, calls, strict=True):
        whose = value[part.batch][:, :, part.keys]
        found = _attend(one, pattern, sets, mine, its, whose, scale, inputs)
        for whole, piece in zip((out, lse), found, strict=True):
            whole[part.batch, :, part.queries] = piece
    return out, lse


#: Where a model is compiled, its graph ends here and goes on behind it.
attend_with_role = cast(Callable[..., State], torch.compiler.disable(_with_role))


def _attend(
    one: Launch,
    pattern: Pattern,
    sets: Chosen,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    inputs: Mapping[str, Tensor],
) -> State:
    if one.role is not None and one.role.attend_all:
        plain = dense(Traits(None, softcap_of(pattern), bool(inputs)))
        return cast(State, plain.op(query, key, value, *plain.values, scale=scale, **inputs))
    return pattern.attend_to(sets, query, key, value, scale, inputs)


def _choice(
    one: Launch,
    owner: object,
    pattern: Pattern,
    heads: tuple[int, ...],
    calls: Sequence[tuple[Tensor, Tensor]],
    key: Tensor,
    scale: float,
    inputs: Mapping[str, Tensor],
) -> Choice:
    assert one.role is not None, "a launch without a role is an operator"
    sizes = tuple((mine.shape[0], mine.shape[2], its.shape[2]) for mine, its in calls)
    if one.role.reuse is not None:
        fresh = [each for each in _kept.shared.get(one.role.reuse, []) if each.sizes == sizes]
        if not set(heads) <= {head for each in fresh for head in each.heads}:
            raise PatternDoesNotFit(pattern.name, f"no earlier layer has chosen '{one.role.reuse}' in this call")
        return taken_over(fresh, heads)
    held = _kept.held.setdefault(owner, {}) if one.role.refresh > 1 else {}
    before = held.get(heads)
    if before is not None and before.left > 0 and _continues(before, key):
        found, left = replace(before.choice, sizes=sizes), before.left - 1
    else:
        sets = tuple(pattern.select(mine, its, scale=scale, **inputs) for mine, its in calls)
        found, left = Choice(sets, heads, sizes), one.role.refresh - 1
    if one.role.refresh > 1:
        held[heads] = Held(found, left, key.shape[2], key[:, :, -1].clone())
    if one.role.share is not None:
        others = [each for each in _kept.shared.get(one.role.share, []) if not set(each.heads) & set(heads)]
        _kept.shared[one.role.share] = [*others, found]
    return found


def taken_over(choices: Sequence[Choice], heads: tuple[int, ...]) -> Choice:
    """The sets of `choices` for these heads, one list for each."""
    return Choice(
        tuple(
            Chosen({name: _of_heads(choices, heads, place, name) for name in choices[0].sets[place].lists})
            for place in range(len(choices[0].sets))
        ),
        heads,
    )


def _of_heads(choices: Sequence[Choice], heads: tuple[int, ...], place: int, name: str) -> RowLists:
    """The lists of set `name` for `heads`; the pools of all choices, one behind the other."""
    before, starts, counts, pools = 0, dict[int, Tensor](), dict[int, Tensor](), []
    for choice in choices:
        lists = choice.sets[place].lists[name]
        owners = lists.count.shape[1]
        for rank, head in enumerate(choice.heads):
            row = rank * owners // len(choice.heads)
            starts[head], counts[head] = lists.start[:, row] + before, lists.count[:, row]
        pools.append(lists.entries)
        before += lists.entries.shape[0]
    start, count = (torch.stack([each[head] for head in heads], 1) for each in (starts, counts))
    overflow = torch.stack([choice.sets[place].lists[name].overflow for choice in choices]).any()
    return RowLists(torch.cat(pools), start, count, overflow)


def _continues(before: Held, key: Tensor) -> bool:
    """Whether `key` is the same sequences with one key more."""
    same = key.shape[2] == before.kv_len + 1 and key[:, :, -2].shape == before.last_key.shape
    return same and torch.equal(key[:, :, -2], before.last_key)


def _places(query: Tensor, tokens: Tensor | None) -> list[Part]:
    if tokens is None:
        return [Part(slice(None), slice(None), slice(None))]
    return list(parts(tokens, query.shape[2]))
