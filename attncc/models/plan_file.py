"""Does a text hold a plan, and if not, what are all of its mistakes?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from attncc.errors import AttnccError, PlanFileError, PlanFileUnreadable, nearest
from attncc.models.plan import DENSE_NAME, SCOPES, ModelSizes, Plan, Rule, Use
from attncc.models.plan_spans import WORDS, All, Span, read_span
from attncc.spec import load
from attncc.spec.check import MAX_FAULTS
from attncc.spec.document import ABSENT, Listing, Node, Scalar, Table, document
from attncc.spec.kind import Kind
from attncc.spec.origin import Origin
from attncc.spec.schema import PatternSpec
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
USE_KEYS: Mapping[str, str] = {
    "pattern": "Name of a shipped pattern, or the path of a pattern file, seen from the plan file.",
    "params": "Parameters of the pattern in place of its defaults.",
    "dense_below": "Calls with fewer keys are dense.",
    "share": "The name under which later layers find what this pattern chooses.",
    "reuse": "The name of the choice to take over from an earlier layer.",
    "refresh": "Decoding steps that a choice serves; 1 if not given.",
    "attend_all": "Whether a sharing head is itself dense; false if not given.",
}
RULE_KEYS: Mapping[str, str] = {
    "layers": f"Which layers: {WORDS}, or a list of these; all if not given.",
    "heads": "Which heads, written like layers; all if not given.",
    "prefill": "What runs when several queries come at once.",
    "decode": "What runs for one query.",
    "both": "What runs in both phases.",
}


@dataclass(frozen=True, slots=True)
class _Read:
    """A use as it was read, with the places of what must be checked against other uses."""

    use: Use
    key: Scalar
    choosing: bool


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
    below = _at_least(values, keys["dense_below"], 0) if "dense_below" in keys else 0
    uses = _uses(values, keys.get("uses"), folder, below)
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
    layers, q_heads, kv_heads = (_at_least(values, keys[key], 1) if key in keys else 1 for key in SIZE_KEYS)
    if q_heads % kv_heads:
        values.fault(node, f"q_heads must be a multiple of kv_heads; {q_heads} is none of {kv_heads}")
    return ModelSizes(layers, q_heads, kv_heads)


def _uses(values: Values, node: Node | None, folder: Path, below: int) -> tuple[tuple[str, Use], ...]:
    read: dict[str, _Read] = {}
    for key, value in values.distinct(values.table(node, "uses")):
        name = values.identifier(key, "a name")
        if name == DENSE_NAME:
            values.fault(key, f"'{DENSE_NAME}' means something already; choose another name")
        read[name] = _use(values, key, value, folder, below)
    return tuple((name, _with_shared(values, each, read.values())) for name, each in read.items())


def _use(values: Values, key: Scalar, node: Node, folder: Path, below: int) -> _Read:
    if isinstance(node, Scalar):
        spec = _pattern(values, node, folder)
        return _Read(Use(_where(spec, node, folder), dense_below=below), key, _choosing(spec))
    keys = values.keys(values.table(node, key.text), USE_KEYS)
    if ("pattern" in keys) == ("reuse" in keys):
        values.fault(key, f"{quoted(key.text)} needs either a 'pattern' or a choice to 'reuse'")
    spec = _pattern(values, keys["pattern"], folder) if "pattern" in keys else None
    use = Use(
        pattern=_where(spec, keys["pattern"], folder) if "pattern" in keys else None,
        params=tuple(_params(values, keys.get("params"), spec)),
        dense_below=_at_least(values, keys["dense_below"], 0) if "dense_below" in keys else below,
        share=values.identifier(keys["share"], "a name") if "share" in keys else None,
        reuse=values.identifier(keys["reuse"], "a name") if "reuse" in keys else None,
        refresh=_at_least(values, keys["refresh"], 1) if "refresh" in keys else 1,
        attend_all=values.switch(keys["attend_all"]) if "attend_all" in keys else False,
    )
    for name in ("share", "refresh"):
        if name in keys and spec is not None and not _choosing(spec):
            values.fault(keys[name], f"pattern '{spec.name}' chooses nothing at run time, so there is no '{name}'")
    if use.attend_all and use.share is None:
        values.fault(keys["attend_all"], "only a use with 'share' chooses for others; leave 'attend_all' out")
    if use.reuse is not None and ("params" in keys or "share" in keys or "refresh" in keys):
        values.fault(key, "with 'reuse' pattern, parameters and refresh are those of the use that shares")
    return _Read(use, key, _choosing(spec))


def _with_shared(values: Values, read: _Read, others: Collection[_Read]) -> Use:
    """A use that takes a choice over has the pattern of the one that shares it."""
    if read.use.reuse is None:
        return read.use
    sharing = [other.use for other in others if other.use.share == read.use.reuse]
    if len(sharing) != 1:
        known = [other.use.share for other in others if other.use.share is not None]
        found = "more than one use shares" if sharing else "no use shares"
        values.fault(read.key, f"{found} {quoted(read.use.reuse)}; shared are: {', '.join(known) or 'none'}")
        return read.use
    return replace(read.use, pattern=sharing[0].pattern, params=sharing[0].params, refresh=sharing[0].refresh)


def _pattern(values: Values, node: Node, folder: Path) -> PatternSpec | None:
    text = values.scalar(node, "the name of a pattern").text
    try:
        return load.find(text if text in load.shipped() else folder / text)
    except AttnccError as error:
        values.fault(node, str(error).partition("\n")[0])
        return None


def _where(spec: PatternSpec | None, node: Node, folder: Path) -> str | None:
    if spec is None or not isinstance(node, Scalar):
        return None
    return node.text if node.text in load.shipped() else str(folder / node.text)


def _choosing(spec: PatternSpec | None) -> bool:
    return spec is not None and spec.select is not None


def _params(values: Values, node: Node | None, spec: PatternSpec | None) -> Iterator[tuple[str, int]]:
    if node is None or spec is None:
        return
    known = {param.name: param for param in spec.params}
    for key, value in values.distinct(values.table(node, "params")):
        number = values.integer(value)
        if key.text not in known:
            hint = nearest(key.text[:40], list(known)) if known else "it has none"
            values.fault(key, f"pattern '{spec.name}' has no parameter {quoted(key.text)}; {hint}")
        elif not known[key.text].low <= number <= known[key.text].high:
            values.fault(value, f"{quoted(key.text)} must be {known[key.text].wanted()}")
        yield key.text, number


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


def _at_least(values: Values, node: Node, low: int) -> int:
    number = values.integer(node)
    if number < low:
        values.fault(node, f"this must be an integer, {low} or more")
    return max(low, number)
