"""representatives: the keys of a unit that the rows after them look at most speak for it (InfLLM, arXiv 2402.04617).

A key's weight is its mean product with the rows at the next `local` positions, summed over the query heads that share
it; of these positions, those before the first or after the last row of the call count as that row. The unit's
`representatives` keys of largest weight speak for it (ties go to the smaller key): its score is their mean product
with the rows of the row block. The units of the first `sink` keys and, where the choice is causal, of the `window` keys
up to the last row alone score minus infinity. As in the source, the rows after a key are at hand: a pattern that sees
the last `local` keys in any case chooses by what its rows may know.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import pad

from attncc.ir.selection import OptionValue
from attncc.selectors.every_key import products
from attncc.selectors.row_blocks import averages, left_out, members, number, pieces, plain_left_out
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {"representatives": 4, "local": 128, "sink": 0, "window": 0}


def device(call: Call) -> Scores:
    batch, kv_heads, _, head_dim = call.key.shape
    rows = call.q_len if call.geometry.rows is None else call.geometry.rows
    units = pieces(range(call.units), 4 * batch * kv_heads * call.geometry.size * head_dim)
    speakers = torch.cat([_speakers(call, piece) for piece in units], 2)

    def scores(part: range) -> Tensor:
        blocks = pieces(part, batch * call.query.shape[1] * rows * head_dim)
        found = torch.cat([products(averages(call, piece, rows)[0].squeeze(3), speakers) for piece in blocks], 2)
        return found.masked_fill_(left_out(call, part, call.geometry.size), -torch.inf)

    return scores


def plain(call: Call) -> Scores:
    query, key = call.query.double(), call.key.double()
    group, first = query.shape[1] // key.shape[1], call.kv_len - call.q_len

    def speakers(batch: int, head: int, unit: int) -> list[int]:
        asking = query[batch, head * group : head * group + group].sum(0)
        weight: dict[int, float] = {}
        for kv in range(unit * call.geometry.size, min(unit * call.geometry.size + call.geometry.size, call.kv_len)):
            after = _clamped(call, kv + 1), _clamped(call, kv + number(call, "local"))
            rows = asking[after[0] - first : after[1] - first + 1]
            weight[kv] = float((rows @ key[batch, head, kv]).sum() * call.scale / len(rows))
        return sorted(weight, key=lambda kv: (-weight[kv], kv))[: number(call, "representatives")]

    def scores(part: range) -> Tensor:
        out = torch.empty(*query.shape[:2], len(part), call.units, dtype=torch.float64)
        for batch in range(query.shape[0]):
            for kv_head in range(key.shape[1]):
                for unit in range(call.units):
                    keys = key[batch, kv_head, speakers(batch, kv_head, unit)]
                    for row, block in enumerate(part):
                        rows = [position - first for position in members(call, block)]
                        if set(call.keys(unit)) <= plain_left_out(call, block):
                            out[batch, kv_head * group : kv_head * group + group, row, unit] = -torch.inf
                            continue
                        for head in range(kv_head * group, kv_head * group + group):
                            out[batch, head, row, unit] = (query[batch, head, rows] @ keys.T * call.scale).mean()
        return out

    return scores


def _clamped(call: Call, position: int) -> int:
    return max(call.kv_len - call.q_len, min(position, call.kv_len - 1))


def _speakers(call: Call, units: range) -> Tensor:
    """The mean of each unit's representatives: float32 [batch, kv_heads, units, head_dim]."""
    size = call.geometry.size
    start, stop = units.start * size, min(units.stop * size, call.kv_len)
    key = call.key[:, :, start:stop].float()
    missing = len(units) * size - (stop - start)
    weight = pad(_weights(call, key, start, stop), (0, missing), value=-torch.inf).unflatten(-1, (-1, size))
    best = weight.sort(stable=True, dim=-1, descending=True).indices[..., : number(call, "representatives")]
    exist = ~weight.gather(-1, best).isneginf().unsqueeze(-1)
    whole = pad(key, (0, 0, 0, missing)).unflatten(2, (-1, size))
    taken = whole.gather(3, best.unsqueeze(-1).expand(*best.shape, key.shape[-1]))
    speakers: Tensor = taken.sum(3) / exist.sum(3)
    return speakers


def _weights(call: Call, key: Tensor, start: int, stop: int) -> Tensor:
    """The mean product of each key from `start` to before `stop` with the rows after it: [batch, kv_heads, keys]."""
    first, local = call.kv_len - call.q_len, number(call, "local")
    lo, hi = _clamped(call, start + 1), _clamped(call, stop - 1 + local)
    asking = call.query[:, :, lo - first : hi - first + 1].unflatten(1, (key.shape[1], -1)).sum(2, dtype=torch.float32)
    # Differences of long sums: float32 would leave few digits.
    upto = pad(asking.double().cumsum(2), (0, 0, 1, 0))
    position = torch.arange(start, stop, device=key.device)
    begin, end = (position + 1).clamp(lo, hi) - lo, (position + local).clamp(lo, hi) - lo + 1
    rows = (upto.index_select(2, end) - upto.index_select(2, begin)).float()
    return (rows * key).sum(-1) * call.scale / (end - begin)
