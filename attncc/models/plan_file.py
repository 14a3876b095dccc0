"""Does a text hold a plan, and if not, what are all of its mistakes?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from attncc.errors import PlanFileError, PlanFileUnreadable
from attncc.models.plan import DENSE_NAME, SCOPES, ModelSizes, Plan, Rule
from attncc.models.plan_spans import WORDS, All, Span, read_span
from attncc.models.plan_uses import at_least, read_uses
from attncc.spec.check import MAX_FAULTS
from attncc.spec.document import ABSENT, Listing, Node, Scalar, Table, document
from attncc.spec.kind import Kind
from attncc.spec.origin import Origin
from attncc.spec.tokens import Fault, quoted
from attncc.spec.values import Values

#: A plan may name every head of a large model by itself.
PLAN = Kind(
    word="plan",
    needs="'plan' and 'rules'",
    example="'plan: streaming'",
    characters=1_048_576,
    events=100_000,
    depth=6,
    mistakes=PlanFileError,
    unreadable=PlanFileUnreadable,
)

KEYS: Mapping[str, str] = {
    "plan": "Name of the plan.",
    "about": "One sentence: which heads see what.",
    "source": "Where the plan is from.",
    "model": "The sizes of the only model it suits: layers, q_heads, kv_heads.",
    "scope": "Which heads the rules count: kv (heads of key and value) or q (heads of the query).",
    "dense_below": "Calls with fewer keys are dense, unless a use says otherwise.",
    "uses": "What can run for a head, by names of the author's choice.",
    "rules": "Which heads run what; a later rule applies over an earlier one.",
}
SIZE_KEYS: Mapping[str, str] = {
    "layers": "How many there are.",
    "q_heads": "Query heads of a layer.",
    "kv_heads": "KV heads of a layer.",
}
RULE_KEYS: Mapping[str, str] = {
    "layers": f"Which layers: {WORDS}, or a list of these; all if not given.",
    "heads": "Which heads, written like layers; all if not given.",
    "prefill": "What runs when several queries come at once.",
    "decode": "What runs for one query.",
    "both": "What runs in both phases.",
}


def check(origin: Origin, folder: Path) -> Plan:
    """The plan that the text of `origin` declares; paths of patterns are seen from `folder`. Raises PlanFileError with
    every mistake in it."""
    values = Values()
    plan = _plan(values, document(origin, PLAN), folder)
    faults = sorted(values.faults, key=lambda fault: fault.start)[:MAX_FAULTS]
    if faults:
        raise PlanFileError([origin.diagnostic(fault) for fault in faults])
    return plan


def _plan(values: Values, top: Table, folder: Path) -> Plan:
    keys = values.keys(top, KEYS)
    for key in ("plan", "rules"):
        if key not in keys:
            values.fault(ABSENT, f"the key '{key}' is missing")
    below = at_least(values, keys["dense_below"], 0) if "dense_below" in keys else 0
    uses = read_uses(values, keys.get("uses"), folder, below)
    return Plan(
        name=values.identifier(keys["plan"], "a plan name") if "plan" in keys else "",
        about=values.text(keys.get("about")),
        source=values.text(keys.get("source")),
        scope=values.choice(keys["scope"], SCOPES, "scope") if "scope" in keys else "kv",
        uses=uses,
        rules=tuple(_rules(values, keys.get("rules"), (*dict(uses), DENSE_NAME))),
        sizes=_sizes(values, keys["model"]) if "model" in keys else None,
    )


def _sizes(values: Values, node: Node) -> ModelSizes:
    keys = values.keys(values.table(node, "model"), SIZE_KEYS)
    for key in SIZE_KEYS:
        if key not in keys:
            values.fault(node, f"'model' has no '{key}'")
    layers, q_heads, kv_heads = (at_least(values, keys[key], 1) if key in keys else 1 for key in SIZE_KEYS)
    if q_heads % kv_heads:
        values.fault(node, f"q_heads must be a multiple of kv_heads; {q_heads} is none of {kv_heads}")
    return ModelSizes(layers, q_heads, kv_heads)


def _rules(values: Values, node: Node | None, names: tuple[str, ...]) -> Iterator[Rule]:
    if node is not None and not isinstance(node, Listing):
        values.fault(node, "'rules' holds a list, one rule an item, as in '- {layers: all, both: streaming}'")
    for item in node.items if isinstance(node, Listing) else ():
        keys = values.keys(values.table(item, "rules"), RULE_KEYS)
        chosen = {key: values.choice(keys[key], names, "use") for key in ("prefill", "decode", "both") if key in keys}
        if not chosen or ("both" in chosen and len(chosen) > 1):
            values.fault(item, "a rule says 'prefill' or 'decode', or each of them, or 'both' by itself")
        both = chosen.get("both")
        yield Rule(
            layers=tuple(_spans(values, keys.get("layers"))),
            heads=tuple(_spans(values, keys.get("heads"))),
            prefill=chosen.get("prefill", both),
            decode=chosen.get("decode", both),
        )


def _spans(values: Values, node: Node | None) -> Iterator[Span]:
    match node:
        case None:
            yield All()
        case Listing(items):
            for item in items:
                yield from _spans(values, item)
        case _:
            text = values.scalar(node, f"one of {WORDS}").text
            found = read_span(text)
            if found is None and isinstance(node, Scalar):
                values.faults.append(Fault(node.start, node.end, f"{quoted(text)} is none of {WORDS}"))
            yield found or All()
