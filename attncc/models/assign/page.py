"""The page of a plan in one file: what it gains, and for each head its attention, the candidates and why one won."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources

from attncc.models.assign.assigned import Assigned
from attncc.models.assign.page_heads import anchor, colour, head_cards, legend
from attncc.models.plan import Plan


def page(plan: Plan, found: Sequence[Assigned], model: str) -> str:
    """The HTML of what `found` says of `model`, a name for people."""
    style = resources.files("attncc.models.assign").joinpath("page.css").read_text(encoding="utf-8")
    body = "\n".join(_body(plan, found, model))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(plan.name)}: which head runs what</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _body(plan: Plan, found: Sequence[Assigned], model: str) -> Iterator[str]:
    sizes = found[0].findings.sizes
    yield f"<header><h1>{escape(model)}: which head runs what</h1>"
    yield f'<p class="quiet">Plan <b>{escape(plan.name)}</b>: {sizes.layers} layers of {sizes.q_heads} heads, '
    yield f"{sizes.kv_heads} KV heads, each with {sizes.q_heads // sizes.kv_heads} of them.</p></header>"
    for each in found:
        yield f'<section id="{each.phase}">'
        yield f"<h2>{each.phase.capitalize()}</h2>"
        yield from _summary(each)
        yield from _map(each)
        yield "<h2>Head by head</h2>"
        yield f'<p class="quiet">{legend(each)}</p>'
        for layer in range(sizes.layers):
            yield from head_cards(each, layer)
        yield "</section>"


def _summary(found: Assigned) -> Iterator[str]:
    known, costs, checked = found.findings, found.costs, found.checked_speedup()
    facts = [(f"{found.speedup():.2f} ×", f"faster attention than dense, {costs.kind}")]
    if checked is not None:
        facts.append((f"{checked:.2f} ×", "when the plan itself was run"))
    facts += [
        (f"{1 / found.speedup():.1%}", f"of dense attention's time, of a budget of {found.budget:.1%}"),
        (f"{found.changed():.2%}", "change of a layer's output"),
        (f"{found.chosen(known.mass)[found.findings.free()].mean():.1%}", "of the attention is kept"),
    ]
    yield '<div class="facts">'
    yield from (f'<div class="fact"><b>{value}</b>{escape(words)}</div>' for value, words in facts)
    yield "</div>"
    texts = "one text" if known.texts == 1 else f"{known.texts} texts"
    yield f'<p class="quiet">Heads were compared on {texts} of {known.length:,} tokens; times are {costs.kind}, for '
    yield f"{costs.length:,} keys on {escape(costs.where)}.</p>"


def _map(found: Assigned) -> Iterator[str]:
    known = found.findings
    counts = Counter(one for layer in found.findings.free() for one in found.choice[layer])
    yield '<ul class="legend">'
    for one, count in counts.most_common():
        yield f'<li><span class="dot" style="background:{colour(one)}"></span>{escape(known.candidates[one].name)}: '
        yield f"{count} heads</li>"
    if any(known.special):
        yield "<li>dashed: layers that stay as they are</li>"
    yield '</ul><div class="scroll"><table class="map"><tr><th></th>'
    yield "".join(f"<th>{head}</th>" for head in range(known.sizes.kv_heads)) + "</tr>"
    for layer, row in enumerate(found.choice):
        cells = "".join(f"<td>{_cell(found, layer, head)}</td>" for head in range(len(row)))
        yield f"<tr><th>{layer}</th>{cells}</tr>"
    yield '</table></div><p class="quiet">Layers downwards, KV heads to the right.</p>'


def _cell(found: Assigned, layer: int, head: int) -> str:
    name = found.findings.candidates[found.choice[layer][head]].name
    if found.findings.special[layer]:
        return f'<span title="layer {layer}, head {head}: as it is"></span>'
    words = escape(f"layer {layer}, head {head}: {name}")
    style = f"background:{colour(found.choice[layer][head])}"
    return f'<a href="#{anchor(found, layer, head)}" style="{style}" title="{words}" aria-label="{words}"></a>'
