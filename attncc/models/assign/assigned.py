"""What was found of a model, and what the plan makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attncc.models.assign.costs import Costs
from attncc.models.assign.exact import Floats
from attncc.models.assign.findings import Findings
from attncc.models.assign.solve import Choice
from attncc.models.plan import Phase


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """What was found for one phase: `choice` has the candidate of each KV head of each layer, by number. `seconds` are
    those of dense attention and of the plan's, in all layers that could be assigned, run on this machine; None where
    the costs are predicted."""

    phase: Phase
    findings: Findings
    costs: Costs
    budget: float
    choice: Choice
    checked: tuple[float, float] | None

    def micros(self) -> tuple[float, float]:
        """(dense, the plan), of all layers that could be assigned, by the costs."""
        whole, relative = [0] * self.findings.sizes.kv_heads, self.findings.relative()
        free = self.findings.free()
        dense = sum(self.costs.micros(whole, relative[layer]) for layer in free)
        return dense, sum(self.costs.micros(self.choice[layer], relative[layer]) for layer in free)

    def speedup(self) -> float:
        """How many times faster attention is than dense, by the costs."""
        dense, plan = self.micros()
        return dense / plan

    def checked_speedup(self) -> float | None:
        """The same, as it was measured of the plan itself."""
        return self.checked[0] / self.checked[1] if self.checked else None

    def chosen(self, values: Floats) -> Floats:
        """Of values [layers, kv_heads, candidates], those of the chosen candidates: [layers, kv_heads]."""
        return np.take_along_axis(values, np.array(self.choice)[:, :, None], 2)[:, :, 0]

    def changed(self) -> float:
        """The change of a layer's output relative to it, the root of the mean square over layers: what is minimised."""
        free = self.findings.free()
        return float(np.sqrt(self.chosen(self.findings.loss())[free].sum(1).mean()))

    def time(self, layer: int, head: int, one: int) -> float:
        """The time of a head with a candidate in that of the head dense, each with its share of a launch for all."""
        costs, relative = self.costs, self.findings.relative()[layer, head]
        launch = costs.base / self.findings.sizes.kv_heads
        return float((launch[one] + costs.each[one] * relative[one]) / (launch[0] + costs.each[0] * relative[0]))
