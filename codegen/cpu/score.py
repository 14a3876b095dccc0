"""What becomes of a product of query and key before softmax, as C: scale, score rules, mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from attncc.codegen.cpu.exprs import CPrinter
from attncc.codegen.writer import Writer
from attncc.ir.expr import BoolExpr, names
from attncc.ir.pattern import Alibi, Scale, ScoreRule, Softcap

#: Where a mask finds what stays the same for all keys.
TILE_VALUES: Mapping[str, str] = {
    "q": "spread(block->q_first + lane) + LANE",
    "head": "spread(block->head)",
    "batch": "spread(block->batch)",
    "q_len": "spread(block->call->q_len)",
    "kv_len": "spread(block->call->kv_len)",
}


def change_scores(
    rules: tuple[ScoreRule, ...], masks: Mapping[BoolExpr, str], printer: CPrinter, place: str
) -> str:
    """The function `change_scores`. With score rules it leaves scores in units of log 2, to be used as they are;
    without, they stay plain products and the softmax multiplies by block->factor. `place` is where score i lies."""
    writer = Writer()
    writer.line(f"/* {_purpose(rules, masks)} */")
    writer.line("static inline void change_scores(struct block *block, int count, int64_t first, int64_t step")
    parameter = ", const enum mask mask) {" if masks else ") {"
    with writer.block(f"                                 {parameter}", "}"):
        with writer.block("for (int lane = 0; lane < BLOCK_M; lane += LANES) {", "}"):
            _constants(writer, rules, masks)
            with writer.block("for (int i = 0; i < count; i++) {", "}"):
                _one_key(writer, rules, masks, printer, place)
    return writer.source()


def _purpose(rules: tuple[ScoreRule, ...], masks: Mapping[BoolExpr, str]) -> str:
    if not rules:
        return "Puts MASKED in place of the scores that the mask leaves out, for `count` keys that join the block."
    also = ", then MASKED where the mask leaves them out" if masks else ""
    return f"Turns products into scores times log2(e){also}, for `count` keys that join the block."


def _used(masks: Mapping[BoolExpr, str]) -> frozenset[str]:
    return frozenset[str]().union(*(names(mask) for mask in masks))


def _constants(writer: Writer, rules: tuple[ScoreRule, ...], masks: Mapping[BoolExpr, str]) -> None:
    used = _used(masks)
    for name, value in TILE_VALUES.items():
        if name in used or (name == "q" and Alibi() in rules):
            writer.line(f"const ivec {name} = {value};")


def _one_key(
    writer: Writer, rules: tuple[ScoreRule, ...], masks: Mapping[BoolExpr, str], printer: CPrinter, place: str
) -> None:
    writer.line(f"float *place = {place};")
    if "kv" in _used(masks) or Alibi() in rules:
        writer.line("const ivec kv = spread(first + i * step);")
    writer.line("vec score = load(place);" if rules else "const vec score = load(place);")
    if rules:
        writer.line("score *= splat(block->scale);")
        writer.lines("\n".join(_rule(rule) for rule in rules))
        writer.line("score *= splat(LOG2_E);")
    if not masks:
        writer.line("store(place, score);")
        return
    with writer.block("switch (mask) {", "}"):
        writer.line("case FULL:")
        writer.line("    store(place, score);")
        writer.line("    break;")
        for mask, name in masks.items():
            writer.line(f"case {name}:")
            writer.line(f"    store(place, where({printer(mask)}, score, splat(MASKED)));")
            writer.line("    break;")


def _rule(rule: ScoreRule) -> str:
    match rule:
        case Scale(factor):
            return f"score *= splat({factor!r}f);"
        case Softcap(cap):
            return f"score = splat({cap!r}f) * tanh_lanes(score / splat({cap!r}f));"
        case Alibi():
            return "score -= splat(block->slope) * __builtin_convertvector(q - kv, vec);"
        case _:
            assert_never(rule)
