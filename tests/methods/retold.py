"""What retellings of methods share: one sequence of a call in float64, key by key, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

import attncc
from tests.selectors.cases import Sizes, tensors

Numbers: TypeAlias = NDArray[np.float64]
Truth: TypeAlias = NDArray[np.bool_]

#: A whole prompt; a later chunk of two ragged ones, with groups of heads; a single query, all heads on the same keys.
SIZES = (
    Sizes(64, 64, q_heads=2, kv_heads=2, head_dim=16),
    Sizes(37, 75, batch=2, q_heads=4, kv_heads=2, head_dim=16),
    Sizes(1, 53, q_heads=4, kv_heads=1, head_dim=16),
)


@dataclass(frozen=True, slots=True)
class Sequence:
    """query [q_heads, q_len, head_dim] and key [kv_heads, kv_len, head_dim] of one batch; its number is `batch`."""

    query: Numbers
    key: Numbers
    batch: int = 0

    @property
    def heads(self) -> range:
        return range(len(self.query))

    @property
    def group(self) -> int:
        """How many query heads share a KV head."""
        return len(self.query) // len(self.key)

    @property
    def keys(self) -> int:
        return len(self.key[0])

    @property
    def positions(self) -> range:
        """Of the queries."""
        return range(self.keys - self.query.shape[1], self.keys)

    def asked(self, head: int, position: int) -> Numbers:
        """The query at a position, scaled as its products are."""
        return np.asarray(self.query[head, position - self.positions.start] * self.query.shape[2] ** -0.5)

    def held(self, head: int, kv: int | slice = slice(None)) -> Numbers:
        """The key or keys that a query head reads."""
        return np.asarray(self.key[head // self.group, kv])

    def scores(self, head: int, position: int) -> Numbers:
        """The scaled products of a query with all keys."""
        return np.asarray(self.held(head) @ self.asked(head, position))

    def blocks(self, rows: int) -> dict[int, list[int]]:
        """The positions of queries, by the block of positions that they lie in."""
        found: dict[int, list[int]] = {}
        for position in self.positions:
            found.setdefault(position // rows, []).append(position)
        return found

    def kept(self, keeps: Callable[[int, int, int], bool]) -> Truth:
        """bool [q_heads, q_len, kv_len] from (head, q, kv), asked of no later key."""
        found = np.zeros((len(self.heads), len(self.positions), self.keys), dtype=np.bool_)
        for head in self.heads:
            for row, q in enumerate(self.positions):
                for kv in range(max(0, q + 1)):
                    found[head, row, kv] = keeps(head, q, kv)
        return found


Told: TypeAlias = Callable[[Sequence], Truth]


def softmax(scores: Numbers) -> Numbers:
    weight = np.exp(scores - scores.max())
    return np.asarray(weight / weight.sum())


def best(scores: Mapping[int, float], count: int) -> set[int]:
    """The `count` largest; ties go to the smaller."""
    return set(sorted(scores, key=lambda one: (-scores[one], one))[: max(0, count)])


def best_with(scores: Mapping[int, float], forced: set[int], count: int) -> set[int]:
    """`forced`, and as many of the others as the count leaves."""
    rest = {one: score for one, score in scores.items() if one not in forced}
    return forced | best(rest, count - len(forced))


def sequences(query: Tensor, key: Tensor) -> list[Sequence]:
    pairs = zip(query.double().numpy(), key.double().numpy(), strict=True)
    return [Sequence(asked, held, batch) for batch, (asked, held) in enumerate(pairs)]


def attended(one: Sequence, value: Numbers, kept: Truth) -> Numbers:
    """softmax(query key^T) value over what is kept: [q_heads, q_len, head_dim]."""
    out = np.zeros(one.query.shape)
    for head in one.heads:
        for row, q in enumerate(one.positions):
            there = kept[head, row].nonzero()[0]
            if len(there):
                out[head, row] = softmax(one.scores(head, q)[there]) @ value[head // one.group, there]
    return out


def agrees(pattern: attncc.Pattern, sizes: Sizes, told: Told, **inputs: Tensor) -> None:
    """The mask, by the choice of a call, and the reference, by the choice in float64, are as told."""
    query, key = tensors(sizes)
    value = torch.randn(key.shape, generator=torch.Generator().manual_seed(1))
    mask = pattern.mask(query, key, **inputs).numpy()  # type: ignore[arg-type] - none is named scale
    exact = (query.double(), key.double(), value.double())
    out = attncc.reference(*exact, pattern, **inputs).numpy()  # type: ignore[call-overload] - as above
    for one in sequences(query, key):
        kept = told(one)
        assert (mask[one.batch] == kept).all()
        wanted = attended(one, value[one.batch].double().numpy(), kept)
        np.testing.assert_allclose(out[one.batch], wanted, rtol=0, atol=1e-9)


def with_options(name: str, set_name: str, options: Mapping[str, int], **params: int) -> attncc.Pattern:
    """A shipped pattern, some options of a score changed that its file leaves as they are."""
    folder = Path(attncc.__file__).parent / "patterns"
    declared = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    (score,) = declared["select"][set_name]["score"].values()
    score.update(options)
    return attncc.Pattern.from_dict({**declared, "pattern": f"{name}_changed"}, **params)
