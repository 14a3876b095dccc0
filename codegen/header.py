"""What the first lines of every generated file say: who wrote it, how to write it again, what it computes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from attncc.codegen.kernel import Phase
from attncc.ir.pattern import SOFTMAX, Alibi, Pattern, Scale, ScoreRule, Softcap
from attncc.ir.schedule import Operands, Schedule
from attncc.ir.tile import TilePlan
from attncc.version import VERSION

WIDTH = 110


def header_lines(
    plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule, backend: str, layout: Sequence[str]
) -> list[str]:
    """The header without comment marks, at most WIDTH columns; `layout` are the backend's own lines.

    Same input, same lines: no date, no host, no path.
    """
    pattern = plan.pattern
    made_for = f"{backend}, {phase}, {operands.dtype}, head_dim {operands.head_dim}"
    return [
        *_wrapped(f"{pattern.name}: {_plain(pattern.about)}"),
        "",
        f"{made_for}; written by attncc {VERSION}. To write it again:",
        *_wrapped(_command(pattern, operands, backend), indent="    "),
        "",
        *_wrapped(f"mask: {pattern.formula()}", hanging="      "),
        *_score(pattern),
        *([] if pattern.combine == SOFTMAX else [f"combine: {pattern.combine}"]),
        *_params(pattern),
        *_wrapped(f"source: {_plain(pattern.source)}", hanging="        "),
        f"digest: {pattern.digest()}",
        f"schedule: {schedule}",
        *_wrapped(f"note: {plan.note}" if plan.note else "", hanging="      "),
        "",
        *layout,
    ]


def _plain(words: str) -> str:
    """Words of a pattern file, unable to end the comment or the string that the header stands in."""
    for mark, harmless in (("*/", "* /"), ("/*", "/ *"), ('"', "'"), ("\\", "/")):
        words = words.replace(mark, harmless)
    return "".join(letter if letter.isprintable() else " " for letter in words)


def _wrapped(sentence: str, indent: str = "", hanging: str = "") -> list[str]:
    return textwrap.wrap(
        sentence, WIDTH, initial_indent=indent, subsequent_indent=indent + hanging, break_on_hyphens=False
    )


def _command(pattern: Pattern, operands: Operands, backend: str) -> str:
    settings = "".join(f" --set {name}={value}" for name, value in pattern.params)
    return f"attncc show {pattern.name} --stage {backend} --dtype {operands.dtype}{settings}"


def _params(pattern: Pattern) -> list[str]:
    values = ", ".join(f"{name} = {value}" for name, value in pattern.params)
    return _wrapped(f"with {values}", hanging="     ") if values else []


def _score(pattern: Pattern) -> list[str]:
    return [f"score: {', then '.join(_rule(rule) for rule in pattern.score)}"] if pattern.score else []


def _rule(rule: ScoreRule) -> str:
    match rule:
        case Scale(factor):
            return f"score * {factor:g}"
        case Softcap(cap):
            return f"{cap:g} * tanh(score / {cap:g})"
        case Alibi():
            return "score - slope[head] * (q - kv)"
