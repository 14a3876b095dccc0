"""Writes the Gluon module for one plan and schedule: the fixed skeleton, filled with the stretches of the plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from attncc.codegen.exprs import Language
from attncc.codegen.header import header_lines
from attncc.codegen.kernel import KernelSource, Phase
from attncc.codegen.triton.breaking import WIDTH, pieces
from attncc.codegen.triton.exprs import NUMBERS, TILES, TritonPrinter
from attncc.codegen.triton.functions import FUNCTIONS
from attncc.codegen.triton.gluon import skeleton
from attncc.codegen.triton.gluon.segments import segments, unfit
from attncc.codegen.triton.gluon.stretches import FULL, MASKED, Stretches
from attncc.codegen.triton.gluon.writing import called, listed, partition, signature, tight
from attncc.codegen.triton.rows import ALIGNED, EXISTING
from attncc.codegen.triton.score import factor_text, rule_lines, scale_text, sloped
from attncc.codegen.writer import Writer
from attncc.ir.expr import Q_FIRST, Q_LAST, BoolExpr, Compare, Var
from attncc.ir.fold import conjunction, fold
from attncc.ir.schedule import BYTES, Operands, Schedule
from attncc.ir.tile import TilePlan

#: Query rows of one warpgroup of four warps.
ROWS = 64
#: Registers of a thread, of a consumer and of the producer.
CONSUMER_REGISTERS = 240
PRODUCER_REGISTERS = 24
#: Values of the knob `lowering`: with and without what holds the exponentials in front of the wait.
ANCHORED, FREE = "gluon", "gluon_free"
#: Constants of a module that a parameter may not be called.
OWN = ("HEAD_DIM", "BLOCK_M", "BLOCK_N", "ROWS", "STAGES", "CONSUMERS", "TILE_BYTES", "QUERY_BYTES", "LOG2E", "LN2")


def emit(plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule) -> KernelSource:
    """The module as text, for a plan that is not `unfit`. It holds one kernel, named `<pattern>_forward`."""
    reason = unfit(plan)
    assert reason is None, f"{plan.pattern.name} has no Gluon kernel: {reason}"
    entry = f"{plan.pattern.name}_forward"
    found = segments(plan, _printer(plan, NUMBERS), schedule.number("BLOCK_N"))
    made = _Module(plan, operands, schedule, Stretches(found))
    code = _gluon(made.text(entry))
    shared = "\n\n".join(_gluon(text) for name, text in FUNCTIONS.items() if re.search(rf"\b{name}\(", code))
    anchored = [skeleton.ANCHOR] if schedule["lowering"] == ANCHORED else []
    body = "\n\n".join([*anchored, *([shared] if shared else []), code])
    used = set(re.findall(r"[A-Z]\w+", body))
    lines = [f"{name} = gl.constexpr({value})" for name, value in made.constants().items() if name in used]
    header = "\n".join(header_lines(plan, operands, phase, schedule, "gluon", skeleton.LAYOUT.splitlines()))
    preamble = "\n".join([f'"""{header}', '"""', "", skeleton.IMPORTS, *lines, "", skeleton.COPIES])
    return KernelSource("gluon", plan.pattern.name, operands, phase, schedule, entry, f"{preamble}\n\n{body}")


def _gluon(text: str) -> str:
    """Text that is written for Triton: the language has the same functions under another name."""
    return re.sub(r"\btl\.", "gl.", text).replace("@triton.jit", "@gluon.jit")


def _printer(plan: TilePlan, language: Language) -> TritonPrinter:
    params = dict(plan.pattern.params)

    def name(word: str) -> str:
        return _constant(word) if word in params else word

    return TritonPrinter(language, name, params, {})


def _constant(param: str) -> str:
    """The constant of a parameter; a parameter may have the name of one of ours."""
    name = param.upper()
    return f"{name}_PARAM" if name in OWN else name


@dataclass(frozen=True, slots=True)
class _Module:
    """Writes the functions of one module."""

    plan: TilePlan
    operands: Operands
    schedule: Schedule
    stretches: Stretches

    def constants(self) -> Mapping[str, int | float]:
        """Every constant that the module may use."""
        block_m, block_n = self.schedule.number("BLOCK_M"), self.schedule.number("BLOCK_N")
        row_bytes = self.operands.head_dim * BYTES[self.operands.dtype]
        own = (
            self.operands.head_dim, block_m, block_n, ROWS, self.schedule.number("num_stages"), block_m // ROWS,
            block_n * row_bytes, block_m * row_bytes, 1.4426950408889634, 0.6931471805599453,
        )  # fmt: skip
        return {
            **{_constant(name): value for name, value in self.plan.pattern.params},
            **dict(zip(OWN, own, strict=True)),
        }

    def text(self, entry: str) -> str:
        """All functions, the kernel last."""
        at = self.stretches
        places = (at.ends(), at.counted(), at.places(FULL), at.places(MASKED))
        return "\n\n".join((*places, skeleton.FETCH, self._producer(), self._consumer(), self._kernel(entry)))

    def _producer(self) -> str:
        w = Writer()
        w.line("@gluon.jit")
        signature(w, "producer", skeleton.PRODUCER)
        with w.block(""):
            w.line('"""Copies the keys and values of every step; of a tile that sees no key, those of one step."""')
            self._known(w)
            w.line("t = 0")
            for at in range(len(self.stretches.visited())):
                with w.block(f"for start in range(first_{at}, stop_{at}, BLOCK_N):"):
                    w.line(f"fetch({skeleton.RINGS}, start, t)")
                    w.line("t += 1")
            with w.block("if t == 0:"):
                w.line(f"fetch({skeleton.RINGS}, 0, 0)")
        return tight(w.source())

    def _consumer(self) -> str:
        rules, mask = self.plan.pattern.score, fold(self.plan.pattern.mask)
        slope = "slope_ptr, " if sloped(rules) else ""
        inside = conjunction(mask, Compare("<", Var("kv"), Var("stop")))
        w = Writer()
        w.line("@gluon.jit")
        signature(w, "consumer", "PART: gl.constexpr, " + skeleton.CONSUMER.format(slope=slope))
        with w.block(""):
            w.line('"""Attends from ROWS rows of the query tile; its step t waits for step t of the producer."""')
            w.lines(skeleton.CONSUMER_OPENING)
            self._known(w)
            called(w, "full, steps = counted", self.stretches.names())
            if slope:
                w.line("slope = tl.load(slope_ptr + head)")
            w.line(f"score_scale = {scale_text(rules)}")
            w.lines(skeleton.STATE)
            w.line()
            w.line("# The first step, masked whatever it is.")
            w.lines(skeleton.FIRST_SCORES)
            self._placed(w, FULL, "0")
            w.line("first, end = start, stop")
            self._placed(w, MASKED, "0")
            w.line("start = tl.where(full > 0, first, start)")
            w.line("stop = tl.where(full > 0, end, stop)")
            self._weights(w, inside)
            w.line(skeleton.WEIGH)
            w.line()
            w.line("# Keys that all rows see.")
            self._loop(w, "range(1, full)", FULL, None)
            w.line()
            w.line("# Keys that some rows see.")
            self._loop(w, "range(tl.maximum(full, 1), steps)", MASKED, inside)
            w.line()
            w.lines(skeleton.CLOSING)
        return tight(w.source())

    def _loop(self, w: Writer, steps: str, kind: str, mask: BoolExpr | None) -> None:
        with w.block(f"for t in {steps}:"):
            w.lines(skeleton.PRODUCTS)
            if mask is not None or sloped(self.plan.pattern.score):
                self._placed(w, kind, "t" if kind == FULL else "t - full")
            self._weights(w, mask)
            if self.schedule["lowering"] == ANCHORED:
                w.line("row_sum = anchor(row_sum)")
            w.lines(skeleton.RESCALE)
            w.line(skeleton.WEIGH)

    def _placed(self, w: Writer, kind: str, step: str) -> None:
        names = self.stretches.names(kind)
        called(w, f"start, stop = place_{kind}", f"{step}, {names}" if names else step)

    def _weights(self, w: Writer, mask: BoolExpr | None) -> None:
        """From the products of one step to its weights."""
        rules = self.plan.pattern.score
        if sloped(rules) or mask is not None:
            w.line("kv = start + lane")
        w.lines("\n".join(rule_lines(rules)))
        if mask is not None:
            tiles = _printer(self.plan, TILES)
            line = f'score = tl.where({tiles(mask)}, score, float("-inf"))'
            if len(line) <= WIDTH - w.column:
                w.line(line)
            else:
                with w.block("keep = (", ")"):
                    w.lines("\n".join(pieces(tiles, mask)))
                w.line('score = tl.where(keep, score, float("-inf"))')
        factor = factor_text(rules)
        w.line(f"weight, rescale, row_max, row_sum = softmax_step(score, {factor}, row_max, row_sum)")

    def _known(self, w: Writer) -> None:
        listed(w, "", self.stretches.names(), " = ends(batch, head, q_first, q_last, q_len, kv_len)")

    def _kernel(self, entry: str) -> str:
        slope = "slope_ptr, " if sloped(self.plan.pattern.score) else ""
        consumers = self.schedule.number("BLOCK_M") // ROWS
        ends = ALIGNED if self.plan.aligned else EXISTING
        w = Writer()
        w.line('@gluon.jit(do_not_specialize=["q_len", "kv_len", "group"])')
        signature(w, entry, f"query_desc, key_desc, value_desc, out_desc, lse_ptr, {slope}q_len, kv_len, group, scale")
        with w.block(""):
            w.line('"""Attends from one query tile of one head; scale is above 0."""')
            w.lines(skeleton.STAND.format(q_first=ends[Q_FIRST], q_last=ends[Q_LAST]))
            w.line()
            w.lines(skeleton.SHARED)
            w.line()
            with w.block("gl.warp_specialize(", ")"):
                with w.block("[", "],"):
                    for part in range(consumers):
                        partition(w, "consumer", f"{part}, {skeleton.CONSUMER.format(slope=slope)}")
                    partition(w, "producer", skeleton.PRODUCER)
                registers = [CONSUMER_REGISTERS] * (consumers - 1) + [PRODUCER_REGISTERS]
                w.line(f"{[4] * (consumers - 1) + [1]},")
                w.line(f"{registers},")
        return tight(w.source())
