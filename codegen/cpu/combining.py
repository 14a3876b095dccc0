"""What a pattern's rule of combination changes in a kernel of the C backend; see `attncc.combines.in_c`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from attncc.codegen.cpu.parts import part
from attncc.combines.in_c import InC, Layout
from attncc.combines.rule import rules
from attncc.ir.pattern import Pattern

SCORE = re.compile(r"SCORE\(([^()]*)\)")


@dataclass(frozen=True, slots=True)
class Combining:
    """A rule with its options."""

    rule: InC
    options: Mapping[str, int | str]

    @property
    def unit(self) -> int | None:
        """Keys that must be together in a block before they are weighed; None if any may."""
        if self.rule.unit is None:
            return None
        unit = self.options[self.rule.unit]
        assert isinstance(unit, int), "a unit is a number of keys"
        return unit

    def functions(self) -> Iterator[str]:
        """What the other texts call."""
        texts = (self.rule.functions, *self.rule.regroup.values())
        if any(name in text for name in ("log1p_lanes", "log2_lanes") for text in texts):
            yield part("logarithm")
        yield from (self._filled(text) for text in (self.rule.functions, self.rule.begin_row) if text)

    def variant(self, name: str) -> str:
        """The part `name`, which sets the state of rows, as the rule needs it."""
        if self.rule.begin_row:
            return part(f"{name}_of_head")
        return part(name) if self.rule.relative else part(f"{name}_alone")

    def weights(self, name: str) -> str:
        """The part `name`, which turns scores into weights, as the rule needs it."""
        return part(name) if self.rule.relative else part(f"{name}_alone").replace("WEIGHT", self.rule.weight)

    def regroup(self, layout: Layout, place: str = "") -> Iterator[str]:
        """The function `regroup` and what it calls, if there are units. `place` is where the scores of KEY lie."""
        if self.rule.regroup:
            text = self._filled(self.rule.regroup[layout])
            yield SCORE.sub(lambda found: place.replace("KEY", found[1]), text)
            yield part("regroup")

    @property
    def regrouping(self) -> str:
        """The statement that regroups a block, or nothing."""
        return "regroup(block);" if self.rule.regroup else ""

    def _filled(self, text: str) -> str:
        for name, value in self.options.items():
            text = text.replace(f"<{name}>", f"call->{value}_heads" if isinstance(value, str) else str(value))
        return text.strip("\n") + "\n"


def combining(pattern: Pattern) -> Combining:
    """The pattern's rule."""
    return Combining(rules()[pattern.combine.rule].IN_C, dict(pattern.combine.options))
