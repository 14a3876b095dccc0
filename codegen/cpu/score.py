"""What becomes of a product of query and key before softmax, as C: scale, score rules, mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from attncc.codegen.cpu.exprs import CPrinter
from attncc.codegen.writer import Writer
from attncc.ir.expr import BoolExpr, names
from attncc.ir.pattern import Alibi, Scale, ScoreRule, Softcap

#: Where a mask finds what it may mention.
LANE_VALUES: Mapping[str, str] = {
    "q": "spread(block->q_first + column) + LANE",
    "kv": "spread(position)",
    "head": "spread(block->head)",
    "batch": "spread(block->batch)",
    "q_len": "spread(block->call->q_len)",
    "kv_len": "spread(block->call->kv_len)",
}


def finish(rules: Iterable[ScoreRule], masks: Mapping[BoolExpr, str], printer: CPrinter) -> str:
    """The function `finish`; scores leave it in units of log 2."""
    writer = Writer()
    writer.line("/* The score of one key for LANES queries, times log2(e), from the product of their rows. */")
    opening = "static inline vec finish(const struct block *block, vec product, int column, int64_t position, const enum mask mask) {"
    with writer.block(opening, "}"):
        writer.lines("\n".join(_score(tuple(rules))))
        if masks:
            _masks(writer, masks, printer)
        writer.line("return score;")
    return writer.source()


def _score(rules: tuple[ScoreRule, ...]) -> Iterable[str]:
    if not rules:
        yield "const vec score = product * splat(block->scale * LOG2_E);"
        return
    yield "vec score = product * splat(block->scale);"
    for rule in rules:
        yield _rule(rule)
    yield "score *= splat(LOG2_E);"


def _rule(rule: ScoreRule) -> str:
    match rule:
        case Scale(factor):
            return f"score *= splat({factor!r}f);"
        case Softcap(cap):
            return f"score = splat({cap!r}f) * tanh_lanes(score / splat({cap!r}f));"
        case Alibi():
            return (
                "score -= splat(block->slope) * "
                "__builtin_convertvector(spread(block->q_first + column - position) + LANE, vec);"
            )
        case _:
            assert_never(rule)


def _masks(writer: Writer, masks: Mapping[BoolExpr, str], printer: CPrinter) -> None:
    used = frozenset[str]().union(*(names(mask) for mask in masks))
    for name, value in LANE_VALUES.items():
        if name in used:
            writer.line(f"const ivec {name} = {value};")
    with writer.block("switch (mask) {", "}"):
        writer.line("case FULL:")
        writer.line("    break;")
        for mask, name in masks.items():
            writer.line(f"case {name}:")
            writer.line(f"    return where({printer(mask)}, score, splat(MASKED));")
