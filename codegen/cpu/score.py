"""What becomes of a product of query and key before softmax, as C: scale, score rules, mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from attncc.codegen.cpu.exprs import CPrinter
from attncc.codegen.cpu.layout import guarded
from attncc.codegen.writer import Writer
from attncc.ir.expr import Attribute, BoolExpr, Position, Var, parts
from attncc.ir.pattern import Alibi, Scale, ScoreRule, Softcap


@dataclass(frozen=True, slots=True)
class Lanes:
    """What the lanes of a vector of scores stand for: the loops over such vectors, and in them, where a vector lies and
    which queries, keys, slopes and numbers of an input (NAME) belong to it. `score` is where the scores of queries for
    the key KEY lie, if they lie together. `run` are the variables that say where the keys lie; none where the block has
    their positions."""

    outer: str
    inner: str
    place: str
    q: str
    kv: str
    slope: str
    number_q: str
    number_kv: str
    score: str = ""
    run: tuple[str, ...] = ("first", "step")


#: LANES queries and one key. Kernels of multiply-adds keep the scores of STRIP queries together, AMX those of 16.
PREFILL = Lanes(
    outer="for (int lane = 0; lane < BLOCK_M; lane += LANES) {",
    inner="for (int i = 0; i < count; i++) {",
    place="block->score[block->count + i] + lane",
    q="spread(block->q_first + lane) + LANE",
    kv="spread(first + i * step)",
    slope="block->slope",
    number_q="load_numbers(block->NAME_q + lane)",
    number_kv="spread(block->NAME_tokens[block->position[block->count + i]])",
    score="block->score[KEY] + lane",
)
STRIPS = replace(
    PREFILL,
    place="block->score[lane / STRIP][block->count + i] + lane % STRIP",
    score="block->score[lane / STRIP][KEY] + lane % STRIP",
)
TILED = replace(PREFILL, place="block->score[lane / 16][block->count + i]", score="block->score[lane / 16][KEY]")

#: One query row and LANES keys.
DECODE = Lanes(
    outer="for (int r = 0; r < ROWS; r++) {",
    inner="for (int i = 0; i < count; i += LANES) {",
    place="block->score[r] + block->count + i",
    q="spread(block->q)",
    kv="spread(first + i * step) + LANE * (int32_t)step",
    slope="block->slope[r]",
    number_q="spread(block->NAME_tokens[greater(block->q, 0)])",
    number_kv="gather(block->NAME_tokens, load_numbers(block->position + block->count + i))",
)


def gathered(lanes: Lanes) -> Lanes:
    """The same where the block has the positions of its keys."""
    position = "block->position[block->count + i]"
    kv = "load_numbers(block->position + block->count + i)" if lanes == DECODE else f"spread({position})"
    return replace(lanes, kv=kv, run=())


#: Parameters of change_scores by name.
PARAMETERS: Mapping[str, str] = {
    "block": "struct block *block",
    "count": "int count",
    "first": "int64_t first",
    "step": "int64_t step",
    "mask": "const enum mask mask",
}

#: Where a mask finds what stays the same for all scores of a block.
BLOCK_VALUES: Mapping[str, str] = {
    "head": "spread(block->head)",
    "batch": "spread(block->batch)",
    "q_len": "spread(block->call->q_len)",
    "kv_len": "spread(block->call->kv_len)",
}


def change_scores(rules: tuple[ScoreRule, ...], masks: Mapping[BoolExpr, str], printer: CPrinter, lanes: Lanes) -> str:
    """The function `change_scores`. With score rules it leaves scores in units of log 2, to be used as they are;
    without, they stay plain products and the softmax multiplies by block->factor."""
    writer = Writer()
    writer.line(f"/* {_purpose(rules, masks)} */")
    parameters = ", ".join(PARAMETERS[argument] for argument in change_arguments(rules, masks, lanes))
    opening = f"static inline void change_scores({parameters}) {{"
    with writer.block(opening, "}"), writer.block(lanes.outer, "}"):
        _constants(writer, rules, masks, lanes)
        with writer.block(lanes.inner, "}"):
            _one_vector(writer, rules, masks, printer, lanes)
    return guarded(writer.source())


def change_arguments(rules: tuple[ScoreRule, ...], masks: Mapping[BoolExpr, str], lanes: Lanes) -> tuple[str, ...]:
    """What change_scores is given, as variables of its caller: positions and kind of run only if they matter."""
    positions = lanes.run if _by_key(rules, masks) else ()
    return ("block", "count", *positions, *(("mask",) if masks else ()))


def _by_key(rules: tuple[ScoreRule, ...], masks: Mapping[BoolExpr, str]) -> bool:
    return "kv" in _used(masks) or Alibi() in rules


def factor(rules: tuple[ScoreRule, ...]) -> str:
    """Statements that set the fields of `block` which hold the scale of the call."""
    magnitude = "fmaxf(fabsf((float)call->scale), LEAST_SCALE)"
    if rules:
        return f"block.factor = 1.0f;\nblock.scale = {magnitude};"
    return f"block.factor = {magnitude} * LOG2_E;"


def _purpose(rules: tuple[ScoreRule, ...], masks: Mapping[BoolExpr, str]) -> str:
    if not rules:
        return "Puts MASKED in place of the scores that the mask leaves out, for `count` keys that join the block."
    also = ", or MASKED" if masks else ""
    return f"Turns products into scores times log2(e){also}, for `count` keys that join the block."


def _used(masks: Mapping[BoolExpr, str]) -> frozenset[str]:
    """The variables that masks mention."""
    return frozenset(node.name for mask in masks for node in parts(mask) if isinstance(node, Var))


def _numbers(masks: Mapping[BoolExpr, str], position: Position) -> list[str]:
    """The inputs that masks ask for the numbers of a position."""
    asked = {node for mask in masks for node in parts(mask) if isinstance(node, Attribute)}
    return sorted(node.name for node in asked if node.position == position)


def _constants(writer: Writer, rules: tuple[ScoreRule, ...], masks: Mapping[BoolExpr, str], lanes: Lanes) -> None:
    used = _used(masks)
    if "q" in used or Alibi() in rules:
        writer.line(f"const ivec q = {lanes.q};")
    for name, value in BLOCK_VALUES.items():
        if name in used:
            writer.line(f"const ivec {name} = {value};")
    for name in _numbers(masks, "q"):
        writer.line(f"const ivec {name}_q = {lanes.number_q.replace('NAME', name)};")


def _one_vector(
    writer: Writer, rules: tuple[ScoreRule, ...], masks: Mapping[BoolExpr, str], printer: CPrinter, lanes: Lanes
) -> None:
    writer.line(f"float *place = {lanes.place};")
    if _by_key(rules, masks):
        writer.line(f"const ivec kv = {lanes.kv};")
    for name in _numbers(masks, "kv"):
        writer.line(f"const ivec {name}_kv = {lanes.number_kv.replace('NAME', name)};")
    writer.line("vec score = load(place);" if rules else "const vec score = load(place);")
    if rules:
        writer.line("score *= splat(block->scale);")
        writer.lines("\n".join(_rule(rule, lanes) for rule in rules))
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


def _rule(rule: ScoreRule, lanes: Lanes) -> str:
    match rule:
        case Scale(factor):
            return f"score *= splat({factor!r}f);"
        case Softcap(cap):
            return f"score = splat({cap!r}f) * tanh_lanes(score / splat({cap!r}f));"
        case Alibi():
            return f"score -= splat({lanes.slope}) * __builtin_convertvector(q - kv, vec);"
        case _:
            assert_never(rule)
