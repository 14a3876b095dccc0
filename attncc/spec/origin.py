"""Where in a text does a mistake stand, and how is it shown?"""

from __future__ import annotations

from dataclasses import dataclass

from attncc.errors import Diagnostic
from attncc.spec.tokens import Fault

#: Characters of a line shown before the mistake, and in all.
BEFORE, WIDTH = 60, 120


@dataclass(frozen=True, slots=True)
class Origin:
    """A text with the name its mistakes are reported under."""

    name: str
    text: str

    def diagnostic(self, fault: Fault) -> Diagnostic:
        """`fault` with its line and column, counted from 1, and the text of the line with the mistake in view."""
        start = min(fault.start, len(self.text))
        first = self.text.rfind("\n", 0, start) + 1
        last = self.text.find("\n", start)
        line = self.text[first : last if last >= 0 else len(self.text)]
        column = start - first
        cut = max(0, column - BEFORE) if len(line) > WIDTH else 0
        shown = line[cut : cut + WIDTH]
        return Diagnostic(
            self.name,
            line=self.text.count("\n", 0, start) + 1,
            column=column + 1,
            sentence=fault.sentence,
            shown="".join(c if c.isprintable() else " " for c in shown),
            indent=column - cut,
            width=max(1, min(fault.end - start, len(shown) - (column - cut))),
        )
