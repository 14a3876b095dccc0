"""Why did a candidate win a head?"""

from __future__ import annotations

from collections.abc import Iterator

from attncc.models.assign.assigned import Assigned

#: Errors this close are the same to a reader.
UNSEEN = 1e-3


def why(found: Assigned, layer: int, head: int) -> str:
    """Some sentences: what the winner keeps and costs, and what the nearest others would."""
    return " ".join(_sentences(found, layer, head))


def _sentences(found: Assigned, layer: int, head: int) -> Iterator[str]:
    known, winner = found.findings, found.choice[layer][head]
    error = known.error()[layer, head]
    times = [found.time(layer, head, one) for one in range(len(error))]
    if winner == 0:
        yield "Nothing that is faster comes near enough to what it computes."
    else:
        kept = percent(known.mass[layer, head, winner])
        yield f"It keeps {kept} of the attention and changes the output by {percent(error[winner])}."
    others = range(len(error))
    better = [one for one in others if error[one] < error[winner] - UNSEEN and times[one] > times[winner]]
    if better:
        nearest = min(better, key=lambda one: times[one])
        full = _share_with(found, layer, head, nearest) > found.budget
        reason = "the budget is better spent on other heads" if full else "too much for what it gains"
        takes = f"takes {times[nearest]:.0%} of the time: {reason}"
        yield f"{known.candidates[nearest].name} is more exact ({percent(error[nearest])}) and {takes}."
    cheaper = [one for one in others if error[one] > error[winner] + UNSEEN and times[one] < times[winner]]
    if cheaper:
        nearest = min(cheaper, key=lambda one: float(error[one]))
        does = f"takes {times[nearest]:.0%} and changes it by {percent(error[nearest])}"
        yield f"{known.candidates[nearest].name} {does}."


def percent(share: float) -> str:
    """A share as people read it: not 0 where it is something, not 100 where something is missing."""
    if 0 < share < UNSEEN / 2:
        return "<0.1%"
    return ">99.9%" if 1 - UNSEEN / 2 < share < 1 - 1e-9 else f"{share:.1%}"


def _share_with(found: Assigned, layer: int, head: int, one: int) -> float:
    """The time of the plan in that of dense attention, if this head had this candidate."""
    dense, plan = found.micros()
    relative, row = found.findings.relative()[layer], list(found.choice[layer])
    before = found.costs.micros(row, relative)
    row[head] = one
    return (plan - before + found.costs.micros(row, relative)) / dense
