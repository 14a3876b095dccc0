"""A plan as the text of a plan file."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

import yaml

from attncc.models.plan import DENSE_NAME, Plan, Rule, Use
from attncc.models.plan_spans import All, Span, span_text

WIDTH = 120


def text(plan: Plan) -> str:
    """The text that `attncc.models.plan_file.check` reads as `plan`, one use and one rule a line."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield f"plan: {plan.name}"
    for key, value in (("about", plan.about), ("source", plan.source)):
        if value:
            yield f"{key}: >-"
            yield from textwrap.wrap(value, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    if plan.sizes is not None:
        layers, q_heads, kv_heads = plan.sizes.layers, plan.sizes.q_heads, plan.sizes.kv_heads
        yield f"model: {{layers: {layers}, q_heads: {q_heads}, kv_heads: {kv_heads}}}"
    yield f"scope: {plan.scope}"
    if plan.uses:
        yield "uses:"
        yield from (f"  {name}: {_flow(_use(use))}" for name, use in plan.uses)
    yield "rules:" if plan.rules else "rules: []"
    yield from (f"  - {_flow(_rule(rule))}" for rule in plan.rules)


def _use(use: Use) -> Mapping[str, object]:
    assert use.pattern is not None, f"a plan writes '{DENSE_NAME}' for a dense head"
    fields: dict[str, object] = {"reuse": use.reuse} if use.reuse is not None else {"pattern": use.pattern}
    if use.params and use.reuse is None:
        fields["params"] = dict(use.params)
    if use.dense_below:
        fields["dense_below"] = use.dense_below
    if use.share is not None:
        fields["share"] = use.share
    if use.refresh > 1 and use.reuse is None:
        fields["refresh"] = use.refresh
    if use.attend_all:
        fields["attend_all"] = True
    return fields


def _rule(rule: Rule) -> Mapping[str, object]:
    fields: dict[str, object] = {}
    for key, spans in (("layers", rule.layers), ("heads", rule.heads)):
        if spans != (All(),):
            fields[key] = _spans(spans)
    if rule.prefill is not None and rule.prefill == rule.decode:
        return {**fields, "both": rule.prefill}
    chosen = {"prefill": rule.prefill, "decode": rule.decode}
    return {**fields, **{phase: name for phase, name in chosen.items() if name is not None}}


def _spans(spans: tuple[Span, ...]) -> object:
    words: list[int | str] = [_word(span) for span in spans]
    return words[0] if len(words) == 1 else words


def _word(span: Span) -> int | str:
    written = span_text(span)
    return int(written) if written.lstrip("-").isdigit() else written


def _flow(fields: Mapping[str, object]) -> str:
    written: str = yaml.safe_dump(dict(fields), default_flow_style=True, sort_keys=False, width=1_000_000)
    return written.strip()
