"""Why did a candidate win a head?"""

from __future__ import annotations

from collections.abc import Iterator

from attncc.models.assign.assigned import Assigned

#: Errors this close are the same to a reader, and so are budgets this close to what is spent.
UNSEEN, SPENT = 1e-3, 0.05


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
        kept = known.mass[layer, head, winner]
        yield f"It keeps {kept:.1%} of the attention and changes the output by {error[winner]:.1%}."
    others = range(len(error))
    better = [one for one in others if error[one] < error[winner] - UNSEEN and times[one] > times[winner]]
    if better:
        nearest = min(better, key=lambda one: times[one])
        full = 1 / found.speedup() > found.budget * (1 - SPENT)
        reason = "the budget is better spent on other heads" if full else "that is not worth the time"
        takes = f"takes {times[nearest]:.0%} of the time: {reason}"
        yield f"{known.candidates[nearest].name} is more exact ({error[nearest]:.1%}) and {takes}."
    cheaper = [one for one in others if error[one] > error[winner] + UNSEEN and times[one] < times[winner]]
    if cheaper:
        nearest = min(cheaper, key=lambda one: float(error[one]))
        yield f"{known.candidates[nearest].name} takes {times[nearest]:.0%} and changes it by {error[nearest]:.1%}."
