"""Writes what happens to a score between product and mask: the scale, then the rules of the pattern."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from attncc.ir.pattern import Alibi, Scale, ScoreRule, Softcap


def factor_text(rules: Sequence[ScoreRule]) -> str:
    """What the softmax step multiplies scores by. Without rules that is the scale, which then costs no instruction."""
    return "1.0" if rules else "score_scale"


def scale_text(rules: Sequence[ScoreRule]) -> str:
    """What products are multiplied by before the rules; the same for all tiles."""
    return "scale" if _capped(rules) else "scale * LOG2E"


def rule_lines(rules: Sequence[ScoreRule]) -> list[str]:
    """Statements that scale `score` and apply `rules` in their order. All but Softcap are linear, so that they may as
    well run in units of log 2; the last Softcap changes the unit."""
    return ["score = score * score_scale", *(_line(rule, rules[at:]) for at, rule in enumerate(rules))] if rules else []


def sloped(rules: Sequence[ScoreRule]) -> bool:
    """Whether a rule asks for the slope of the head."""
    return any(isinstance(rule, Alibi) for rule in rules)


def _line(rule: ScoreRule, rest: Sequence[ScoreRule]) -> str:
    match rule:
        case Scale(factor):
            return f"score = score * {factor!r}"
        case Softcap(cap):
            unit = "" if _capped(rest[1:]) else " * LOG2E"
            return f"score = tanh(score * {1 / cap!r}) * ({cap!r}{unit})"
        case Alibi():
            unit = "" if _capped(rest) else " * LOG2E"
            return f"score = score - slope{unit} * (q - kv)"
        case _:
            assert_never(rule)


def _capped(rules: Sequence[ScoreRule]) -> bool:
    return any(isinstance(rule, Softcap) for rule in rules)
