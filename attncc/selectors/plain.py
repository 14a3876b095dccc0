"""What a call should choose: the slow twin of `choose`, unit by unit in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import assert_never

import torch
from torch import Tensor

from attncc.ir.selection import Above, Heads, Mass, Rule, Selection, Top
from attncc.selectors.catalog import load
from attncc.selectors.score import Call


def plain_select(
    selection: Selection, query: Tensor, key: Tensor, scale: float, inputs: Mapping[str, Tensor]
) -> Tensor:
    """Which units each row block takes: bool [batch, list heads, rows, units].

    Of distances, which offsets: bool [batch, list heads, 1, kv_len + widen - 1], where place i stands for the entry
    i - (kv_len - 1) of the list, a key that lies i - (kv_len - 1) after q // step * step.
    """
    call = Call(query, key, scale, selection.geometry, selection.causal, dict(selection.options), inputs)
    each = load(selection.score).plain(call)(call.rows)
    groups = _groups(selection.heads, query.shape[1], key.shape[1])
    score = torch.stack([_together(each[:, list(group)], selection.heads) for group in groups], 1)
    chosen = torch.zeros(score.shape, dtype=torch.bool)
    for batch, head, at in product(*map(range, score.shape[:3])):
        row = call.rows[at]
        rule = _with_count(selection.rule, groups[head], inputs)
        values = score[batch, head, at].tolist()
        for unit in _take(values, _reachable(call, row), _forced(selection, call, row), rule):
            chosen[batch, head, at, unit] = True
    return chosen if selection.geometry.step is None else _offsets(chosen, selection.widen)


def _groups(heads: Heads, q_heads: int, kv_heads: int) -> list[range]:
    """The query heads that share each choice."""
    match heads:
        case "each":
            size = 1
        case "group_max" | "group_sum":
            size = q_heads // kv_heads
        case "all_max" | "all_sum":
            size = q_heads
        case _:
            assert_never(heads)
    return [range(first, first + size) for first in range(0, q_heads, size)]


def _together(scores: Tensor, heads: Heads) -> Tensor:
    return scores.sum(1) if heads.endswith("_sum") else scores.amax(1)


def _with_count(rule: Rule, group: range, inputs: Mapping[str, Tensor]) -> Rule:
    match rule:
        case Top(str() as name):
            return Top(max(int(inputs[name][head]) for head in group))
        case _:
            return rule


def _last(call: Call, row: int) -> int:
    return call.kv_len - 1 if call.geometry.rows is None else (row + 1) * call.geometry.rows - 1


def _reachable(call: Call, row: int) -> list[int]:
    units = range(call.units)
    if not call.causal or call.geometry.step is not None:
        return list(units)
    return [unit for unit in units if unit * call.geometry.size <= _last(call, row)]


def _forced(selection: Selection, call: Call, row: int) -> set[int]:
    always, reachable = selection.always, _reachable(call, row)
    found = set(reachable[: always.first]) | set(reachable[max(0, len(reachable) - always.last) :])
    if always.own and call.geometry.step is not None:
        found.add(0)
    elif always.own:
        first = max(0, call.first) if call.geometry.rows is None else row * call.geometry.rows
        found |= {position // call.geometry.size for position in range(first, _last(call, row) + 1)}
    return found & set(reachable)


def _take(score: Sequence[float], reachable: list[int], forced: set[int], rule: Rule) -> set[int]:
    """The units taken: the forced ones first, then by descending score, then by number."""
    eligible = [unit for unit in reachable if unit in forced or score[unit] > -torch.inf]
    order = sorted(eligible, key=lambda unit: (unit not in forced, -score[unit], unit))
    match rule:
        case Top(count):
            assert isinstance(count, int), "counts of heads are looked up before"
            return forced | set(order[: max(0, count)])
        case Mass(share, least, most):
            count = _fewest([score[unit] for unit in order], share)
            count = max(count, least) if most is None else min(max(count, least), most)
            return forced | set(order[:count])
        case Above(threshold):
            return forced | {unit for unit in eligible if score[unit] >= threshold}
        case _:
            assert_never(rule)


def _fewest(scores: list[float], share: float) -> int:
    """How many of the first scores it takes to reach `share` of their sum."""
    known = [max(score, 0.0) for score in scores]
    wanted, so_far, count = share * sum(known), 0.0, 0
    while count < len(known) and so_far < wanted:
        so_far += known[count]
        count += 1
    return count


def _offsets(chosen: Tensor, widen: int) -> Tensor:
    kv_len = chosen.shape[-1]
    wide = torch.zeros(*chosen.shape[:-1], kv_len + widen - 1, dtype=torch.bool)
    for batch, head, row, distance in chosen.nonzero().tolist():
        for further in range(widen):
            wide[batch, head, row, kv_len - 1 - distance + further] = True
    return wide
