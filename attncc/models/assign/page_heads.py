"""The part of the page that is about heads: a card for each, with its attention, its candidates, and why one won."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape

from attncc.models.assign.assigned import Assigned
from attncc.models.assign.image import data_uri
from attncc.models.assign.words import percent, why

#: The first is that of dense heads; neighbours differ in lightness too.
COLOURS = ("#8a8f94", "#2f6690", "#8fc1e3", "#d9822b", "#f2c36b", "#a65a12", "#3c8d5a", "#9fd3ae",
           "#7a4ea3", "#c6a5e0", "#b8405e", "#ec9fb0")  # fmt: skip
#: Models with fewer layers show all heads at once.
FEW_LAYERS = 4


def legend(found: Assigned) -> str:
    """What the cards show, in a few sentences."""
    who = "the last queries" if found.phase == "decode" else "all queries"
    return (
        "Pictures: queries downwards, keys to the right, darker where more attention goes. Error: by how much the "
        f"output of a head changes over {who}, relative to its size. Kept: the share of its attention. "
        "Time: of what the head takes dense."
    )


def head_cards(found: Assigned, layer: int) -> Iterator[str]:
    """A card for each head of a layer, or why the layer stays as it is."""
    known = found.findings
    if known.special[layer]:
        yield f"<p>Layer {layer} stays as it is: {escape(known.special[layer])}.</p>"
        return
    names = Counter(known.candidates[one].name for one in found.choice[layer])
    told = ", ".join(f"{count} {name}" for name, count in names.most_common())
    opened = " open" if known.sizes.layers <= FEW_LAYERS else ""
    yield f"<details{opened}><summary>Layer {layer}: {escape(told)}</summary>"
    yield '<div class="heads">'
    for head in range(known.sizes.kv_heads):
        yield from _head(found, layer, head)
    yield "</div></details>"


def _head(found: Assigned, layer: int, head: int) -> Iterator[str]:
    known, winner = found.findings, found.choice[layer][head]
    yield f'<article class="head" id="{anchor(found, layer, head)}"><div class="top">'
    yield f'<img src="{data_uri(known.pictures[layer, head])}" alt="attention of layer {layer}, head {head}"><div>'
    yield f'<h3><span class="dot" style="background:{colour(winner)}"></span>Layer {layer}, KV head {head}</h3>'
    yield f"<p><b>{escape(known.candidates[winner].name)}</b></p><p>{escape(why(found, layer, head))}</p></div></div>"
    yield "<table><tr><th>candidate</th><th>error</th><th>kept</th><th>time</th></tr>"
    error = known.error()[layer, head]
    for one in sorted(range(len(error)), key=lambda one: (round(float(error[one]), 3), -found.time(layer, head, one))):
        won = ' class="won"' if one == winner else ""
        cells = (percent(error[one]), percent(known.mass[layer, head, one]), f"{found.time(layer, head, one):.0%}")
        numbers = "".join(f"<td>{cell}</td>" for cell in cells)
        yield f"<tr{won}><td>{escape(known.candidates[one].name)}</td>{numbers}</tr>"
    yield "</table></article>"


def colour(one: int) -> str:
    """The colour of a candidate, by its number."""
    return COLOURS[0] if one == 0 else COLOURS[1 + (one - 1) % (len(COLOURS) - 1)]


def anchor(found: Assigned, layer: int, head: int) -> str:
    """The name under which the page links to the card of a head."""
    return f"{found.phase}-{layer}-{head}"
