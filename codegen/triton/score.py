"""Writes what happens to a score between product and mask: the scale, then the rules of the pattern."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from attncc.ir.pattern import Alibi, Scale, ScoreRule, Softcap


def scale_text(rules: Sequence[ScoreRule]) -> str:
    """What the product is multiplied by; the same for all tiles."""
    return "scale" if _capped(rules) else "scale * LOG2E"


def rule_lines(rules: Sequence[ScoreRule]) -> list[str]:
    """Statements that apply `rules` to `score` in their order. All but Softcap are linear, so that they may as well run
    in units of log 2; the last Softcap changes the unit."""
    return [_line(rule, rules[at:]) for at, rule in enumerate(rules)]


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
