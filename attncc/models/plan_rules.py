"""Which few rules say what a table of names says, head by head?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from attncc.models.plan import DENSE_NAME, Phase, Rule
from attncc.models.plan_spans import All, Range, Span, covering

EVERY = (All(),)


def rules_for(names: Sequence[Sequence[str]], phase: Phase | None) -> tuple[Rule, ...]:
    """Rules under which head h of layer l runs the use `names[l][h]` in `phase`, or in both: first what most heads run,
    then the others, layers with the same heads together. Every layer has the same number of heads."""
    layers: tuple[Span, ...] = (Range(0, len(names) - 1),)
    counts = Counter(name for row in names for name in row)
    first, _ = max(counts.items(), key=lambda each: (each[1], each[0]))
    leading = () if first == DENSE_NAME else (_rule(layers, EVERY, first, phase),)
    return (*leading, *(rule for name in sorted(counts) if name != first for rule in _rules(names, name, phase)))


def _rules(names: Sequence[Sequence[str]], name: str, phase: Phase | None) -> Iterator[Rule]:
    layers: dict[tuple[int, ...], list[int]] = {}
    for layer, row in enumerate(names):
        heads = tuple(head for head, each in enumerate(row) if each == name)
        if heads:
            layers.setdefault(heads, []).append(layer)
    for heads, found in layers.items():
        whole = len(heads) == len(names[0])
        yield _rule(covering(found), EVERY if whole else covering(list(heads)), name, phase)


def _rule(layers: tuple[Span, ...], heads: tuple[Span, ...], name: str, phase: Phase | None) -> Rule:
    return Rule(layers, heads, *(name if phase in (each, None) else None for each in ("prefill", "decode")))
