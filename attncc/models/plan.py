"""Which pattern runs for each head of a model, in prefill and in decode?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from attncc.errors import PlanDoesNotFit
from attncc.models.plan_spans import Span, places

Phase: TypeAlias = Literal["prefill", "decode"]
PHASES: tuple[Phase, ...] = ("prefill", "decode")

#: The heads that the rules of a plan count.
Scope: TypeAlias = Literal["q", "kv"]
SCOPES: tuple[Scope, ...] = ("kv", "q")

#: The use that every plan has: heads that no rule names.
DENSE_NAME = "dense"


@dataclass(frozen=True, slots=True)
class ModelSizes:
    """The layers of a model, and the heads of each."""

    layers: int
    q_heads: int
    kv_heads: int


@dataclass(frozen=True, slots=True)
class Use:
    """What runs for a head in one phase.

    `pattern` is a shipped name or the path of a pattern file, `params` replace its defaults. Without a pattern a head
    is dense: it sees every key that the model itself lets it see; a sliding window of the model's own stays. So is
    every call with fewer than `dense_below` keys.

    What a pattern chooses at run time can serve more than one call. With `share` its sets are kept under that name, and
    a use with `reuse` in a later layer takes them, head by head, in place of a choice of its own; it has the pattern of
    the sharing use. With `attend_all` the sharing head itself is dense, and chooses for the others only. In decode a
    choice serves `refresh` steps before it is made again.
    """

    pattern: str | None = None
    params: tuple[tuple[str, int], ...] = ()
    dense_below: int = 0
    share: str | None = None
    reuse: str | None = None
    refresh: int = 1
    attend_all: bool = False


DENSE = Use()


@dataclass(frozen=True, slots=True)
class Rule:
    """For these heads of these layers, the name of a use in each phase, or None for what earlier rules said."""

    layers: tuple[Span, ...]
    heads: tuple[Span, ...]
    prefill: str | None
    decode: str | None


@dataclass(frozen=True, slots=True)
class HeadPlan:
    """What runs for one query head of one layer."""

    prefill: Use = DENSE
    decode: Use = DENSE

    def use(self, phase: Phase) -> Use:
        return self.prefill if phase == "prefill" else self.decode


@dataclass(frozen=True, slots=True)
class Group:
    """The query heads of one layer that run alike, in ascending order."""

    use: Use
    heads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlanTable:
    """A plan for a model of known sizes: `heads[layer][query head]`."""

    sizes: ModelSizes
    heads: tuple[tuple[HeadPlan, ...], ...]

    def groups(self, layer: int, phase: Phase) -> tuple[Group, ...]:
        """The heads of `layer` that can share one launch, in the order of their first head."""
        found: dict[Use, list[int]] = {}
        for head, each in enumerate(self.heads[layer]):
            found.setdefault(each.use(phase), []).append(head)
        return tuple(Group(use, tuple(heads)) for use, heads in found.items())


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan file with every value checked. Rules apply in their order, a later one over an earlier one; heads that
    none names are dense. `sizes` are those of the model it was made for, or None where it suits any model."""

    name: str
    about: str
    source: str
    scope: Scope
    uses: tuple[tuple[str, Use], ...]
    rules: tuple[Rule, ...]
    sizes: ModelSizes | None = None

    def table(self, sizes: ModelSizes) -> PlanTable:
        """What runs for each head of a model of `sizes`. Raises PlanDoesNotFit: the plan is for other sizes, names a
        layer or head that is not there, or takes a choice over that no earlier layer has made."""
        if self.sizes is not None and self.sizes != sizes:
            raise PlanDoesNotFit(self.name, f"it is for {_sizes_text(self.sizes)}, the model has {_sizes_text(sizes)}")
        rows = [[HeadPlan()] * sizes.q_heads for _ in range(sizes.layers)]
        for rule in self.rules:
            for layer in self._places(rule.layers, sizes.layers, "layer"):
                for head in self._heads(rule, sizes):
                    rows[layer][head] = self._over(rows[layer][head], rule)
        table = PlanTable(sizes, tuple(tuple(row) for row in rows))
        self._refuse_orphans(table)
        return table

    def _over(self, before: HeadPlan, rule: Rule) -> HeadPlan:
        prefill = before.prefill if rule.prefill is None else self._use(rule.prefill)
        decode = before.decode if rule.decode is None else self._use(rule.decode)
        return HeadPlan(prefill, decode)

    def _use(self, name: str) -> Use:
        return dict(self.uses).get(name, DENSE)

    def _heads(self, rule: Rule, sizes: ModelSizes) -> Iterator[int]:
        """The query heads that the rule means."""
        if self.scope == "q":
            yield from self._places(rule.heads, sizes.q_heads, "head")
            return
        group = sizes.q_heads // sizes.kv_heads
        for head in self._places(rule.heads, sizes.kv_heads, "KV head"):
            yield from range(head * group, (head + 1) * group)

    def _places(self, spans: tuple[Span, ...], total: int, what: str) -> Iterator[int]:
        for span in spans:
            try:
                yield from places(span, total)
            except IndexError as error:
                raise PlanDoesNotFit(self.name, f"it names {what} {error}, the model has {total}") from error

    def _refuse_orphans(self, table: PlanTable) -> None:
        for phase in PHASES:
            made: set[tuple[str, int]] = set()
            for layer, row in enumerate(table.heads):
                uses = [each.use(phase) for each in row]
                for head, use in enumerate(uses):
                    if use.reuse is not None and (use.reuse, head) not in made:
                        orphan = f"layer {layer}, head {head} takes over '{use.reuse}' in {phase}"
                        raise PlanDoesNotFit(self.name, f"{orphan}, which no earlier layer shares for that head")
                made |= {(use.share, head) for head, use in enumerate(uses) if use.share is not None}


def _sizes_text(sizes: ModelSizes) -> str:
    return f"{sizes.layers} layers of {sizes.q_heads} heads ({sizes.kv_heads} KV heads)"
