"""How long does attention take with each candidate?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from attncc.autotune.measure import clock_for, repetitions
from attncc.autotune.policy import USUAL
from attncc.calls import model_of
from attncc.functional import attention
from attncc.models.assign.candidates import Candidate
from attncc.models.assign.exact import Floats, Layer
from attncc.models.grouping import even, index
from attncc.models.plan import Phase

Kind: TypeAlias = Literal["measured", "predicted"]

#: Rounds in which all calls take turns; each round is one sample of each.
FEWEST_ROUNDS, MOST_ROUNDS = 5, 50
QUIET = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """Microseconds of one layer's attention at `length` keys: a launch of KV heads with candidate c takes base[c], and
    each[c] for every head of mean work. A layer with several launches takes `split` more, for heads that are copied and
    put together again. `where` is the hardware."""

    base: Floats
    each: Floats
    split: float
    kind: Kind
    where: str
    length: int

    def micros(self, row: Sequence[int], relative: Floats) -> float:
        """Of a layer whose KV heads have these candidates, one launch for each that occurs; `relative`, [kv_heads,
        candidates], is their work in that of a mean head."""
        heads = sum(float(self.each[one] * relative[head, one]) for head, one in enumerate(row))
        return heads + sum(float(self.base[one]) for one in set(row)) + (self.split if len(set(row)) > 1 else 0)


def measured(
    layer: Layer, relative: Floats, candidates: Sequence[Candidate], phase: Phase, length: int, seconds: float
) -> Costs:
    """Times launches of few and of all heads with each candidate on the device of `layer`, with its tensors, taking
    turns for about `seconds`; `relative`, [kv_heads, candidates], is the work of its heads in that of a mean one."""
    asked = stretched(layer, phase, length)
    heads = asked.key.shape[1]
    few = max(1, heads // 4)
    counts = [few, heads] if few < heads else [heads]
    calls = [call(asked, [(candidate, range(count))]) for candidate in candidates for count in counts]
    *each_call, split = interleaved([*calls, lambda: put_together(asked.query)], asked.query.device, seconds)
    times = np.array(each_call).reshape(len(candidates), len(counts))
    base, each = line(relative[:few].sum(0), times[:, 0], relative.sum(0), times[:, -1])
    return Costs(base, each, split, "measured", model_of(layer.query.device).name, length)


def line(few: Floats, few_micros: Floats, all_: Floats, all_micros: Floats) -> tuple[Floats, Floats]:
    """(base, each) of the lines through the times of a little and of much work; none begins below 0."""
    slope = (all_micros - few_micros) / np.maximum(all_ - few, np.finfo(np.float64).tiny)
    base: Floats = np.where(all_ > few, np.clip(all_micros - slope * all_, 0, all_micros), 0)
    return base, (all_micros - base) / all_


def layer_micros(
    layer: Layer,
    candidates: Sequence[Candidate],
    rows: Sequence[Sequence[int]],
    phase: Phase,
    length: int,
    seconds: float,
) -> list[float]:
    """Microseconds of a layer for each of `rows`, the candidates of its KV heads: what `Costs.micros` predicts."""
    asked = stretched(layer, phase, length)
    calls = []
    for row in rows:
        shares = {one: [head for head, found in enumerate(row) if found == one] for one in dict.fromkeys(row)}
        calls.append(call(asked, [(candidates[one], heads) for one, heads in shares.items()]))
    return interleaved(calls, asked.query.device, seconds)


def call(layer: Layer, shares: Sequence[tuple[Candidate, Sequence[int]]]) -> Callable[[], object]:
    """Attention of `layer`, one launch for each candidate with its KV heads; all heads are put together again where
    there are several."""
    group = layer.query.shape[1] // layer.key.shape[1]
    parts = [
        (candidate, index(even(tuple(heads))), index(even(tuple(h * group + g for h in heads for g in range(group)))))
        for candidate, heads in shares
    ]

    def run() -> Tensor:
        outs = [
            attention(
                layer.query[:, q_heads], layer.key[:, kv_heads], layer.value[:, kv_heads], candidate.pattern,
                scale=layer.scale,
            )
            for candidate, kv_heads, q_heads in parts
        ]  # fmt: skip
        if len(outs) == 1:
            return outs[0]
        whole = torch.empty_like(layer.query)
        for out, (_, _, q_heads) in zip(outs, parts, strict=True):
            whole[:, q_heads] = out
        return whole

    return run


def put_together(query: Tensor) -> Tensor:
    """What a layer with two launches does besides them: every second head of the results copied into one tensor."""
    whole = torch.empty_like(query)
    for first in (0, 1):
        whole[:, first::2] = query[:, first::2]
    return whole


def stretched(layer: Layer, phase: Phase, length: int) -> Layer:
    """The layer with `length` keys, its own over and over again, and as many queries, or one in decode."""

    def longer(tensor: Tensor) -> Tensor:
        times = -(-length // tensor.shape[2])
        return tensor.repeat(1, 1, times, 1)[:, :, :length].contiguous()

    query = longer(layer.query)
    asked = query[:, :, -1:].contiguous() if phase == "decode" else query
    return replace(layer, query=asked, key=longer(layer.key), value=longer(layer.value))


def interleaved(calls: Sequence[Callable[[], object]], device: torch.device, seconds: float) -> list[float]:
    """Microseconds of each call, all of them taking turns, so that what slows the machine slows all: the QUIET quantile
    of their samples, as other work on a machine only ever adds."""
    clock = clock_for(model_of(device).kind, USUAL)
    with torch.inference_mode():
        counts = [repetitions(call, clock) for call in calls]
        samples: list[list[float]] = [[] for _ in calls]
        end = time.monotonic() + seconds
        for done in range(MOST_ROUNDS):
            if done >= FEWEST_ROUNDS and time.monotonic() > end:
                break
            for call, count, found in zip(calls, counts, samples, strict=True):
                found.append(clock(call, count) / count)
    return [float(np.quantile(found, QUIET)) for found in samples]
