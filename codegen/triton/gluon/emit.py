"""Writes the Gluon module for one plan and schedule: the fixed skeleton, filled with the stretches of the plan."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from math import gcd

from attncc.codegen.exprs import Language
from attncc.codegen.header import header_lines
from attncc.codegen.kernel import KernelSource, Phase
from attncc.codegen.triton.arguments import SIZES, Wanted
from attncc.codegen.triton.breaking import WIDTH
from attncc.codegen.triton.emit import LISTS, TOKENS
from attncc.codegen.triton.exprs import NUMBERS, TILES, TritonPrinter
from attncc.codegen.triton.functions import FUNCTIONS
from attncc.codegen.triton.gluon import skeleton
from attncc.codegen.triton.gluon.consumer import Consumer
from attncc.codegen.triton.gluon.registers import ROWS, registers
from attncc.codegen.triton.gluon.segments import Kind, steps_of, unfit
from attncc.codegen.triton.gluon.stretches import TILE, Stretches
from attncc.codegen.triton.gluon.writing import called, filled, partition, signature, tight
from attncc.codegen.triton.lists import constants, row_lines
from attncc.codegen.triton.rows import ALIGNED, EXISTING
from attncc.codegen.triton.score import sloped
from attncc.codegen.writer import Writer
from attncc.ir.expr import Q_FIRST, Q_LAST, Attribute, parts
from attncc.ir.schedule import BYTES, Operands, Schedule
from attncc.ir.tile import TilePlan

#: Values of the knob `lowering`: with and without what holds the exponentials in front of the wait.
ANCHORED, FREE = "gluon", "gluon_free"
#: Constants of a module that a parameter may not be called.
OWN = ("HEAD_DIM", "BLOCK_M", "BLOCK_N", "ROWS", "STAGES", "CONSUMERS", "TILE_BYTES", "QUERY_BYTES", "LOG2E", "LN2")
#: Tensors by descriptors: in whole tiles, and in pieces of PIECE keys where a list is gathered.
DESCRIBED = ("query_desc", "key_desc", "value_desc", "out_desc")
PIECES = ("key_pieces_desc", "value_pieces_desc")
#: What the producer knows of a tile whose keys lie in strips.
STANDING = "head, q_first, q_last, q_len, kv_len"
#: A key beyond all that there can be.
FAR = 1 << 30
#: Threads are laid out by hand here.
LAID_OUT = {"keys_before": skeleton.KEYS_BEFORE, "key_at": skeleton.KEY_AT}


def emit(plan: TilePlan, operands: Operands, phase: Phase, schedule: Schedule) -> KernelSource:
    """The module as text, for a plan that is not `unfit`. It holds one kernel, named `<pattern>_forward`."""
    reason = unfit(plan)
    assert reason is None, f"{plan.pattern.name} has no Gluon kernel: {reason}"
    entry = f"{plan.pattern.name}_forward"
    own = _own_constants(plan, operands, schedule)
    over = {run.over for run in plan.runs()}
    lists = tuple(one.name for one in plan.lists if one.name in over)
    made = _Module(plan, schedule, Stretches(steps_of(plan, _printer(plan, NUMBERS, own)), lists), own)
    code = _gluon(made.text(entry))
    called_too = [text for name, text in {**FUNCTIONS, **LAID_OUT}.items() if re.search(rf"\b{name}\(", code)]
    anchored = [skeleton.ANCHOR] if schedule["lowering"] == ANCHORED else []
    body = "\n\n".join([*anchored, *map(_gluon, called_too), code])
    used = set(re.findall(r"[A-Z]\w+", body))
    numbers = {**{_constant(name, own): value for name, value in plan.pattern.params}, **own}
    lines = [f"{name} = gl.constexpr({value})" for name, value in numbers.items() if name in used]
    most = registers(schedule, "PIECE" in own).most
    launched = skeleton.LAUNCHED.format(more="" if most is None else f", maxnreg={most}")
    layout = skeleton.LAYOUT + LISTS * bool(lists) + TOKENS * bool(made.wanted().tokens) + launched
    header = "\n".join(header_lines(plan, operands, phase, schedule, "gluon", layout.splitlines()))
    preamble = "\n".join([f'"""{header}', '"""', "", skeleton.IMPORTS, *lines, "", skeleton.COPIES])
    return KernelSource("gluon", plan.pattern.name, operands, phase, schedule, entry, f"{preamble}\n\n{body}")


def _gluon(text: str) -> str:
    """Text that is written for Triton: the language has the same functions under another name."""
    return re.sub(r"\btl\.", "gl.", text).replace("@triton.jit", "@gluon.jit")


def _printer(plan: TilePlan, language: Language, own: Container[str]) -> TritonPrinter:
    params = dict(plan.pattern.params)

    def name(word: str) -> str:
        return _constant(word, own) if word in params else word

    return TritonPrinter(language, name, params, {})


def _constant(param: str, own: Container[str]) -> str:
    """The constant of a parameter; a parameter may have the name of one of ours."""
    name = param.upper()
    return f"{name}_PARAM" if name in own else name


def _own_constants(plan: TilePlan, operands: Operands, schedule: Schedule) -> Mapping[str, int | float]:
    """Every constant that the module may use and that is no parameter of the pattern."""
    block_m, block_n = schedule.number("BLOCK_M"), schedule.number("BLOCK_N")
    row_bytes = operands.head_dim * BYTES[operands.dtype]
    own = (
        operands.head_dim, block_m, block_n, ROWS, schedule.number("num_stages"), block_m // ROWS,
        block_n * row_bytes, block_m * row_bytes, 1.4426950408889634, 0.6931471805599453,
    )  # fmt: skip
    of_lists = {name: value for one in plan.lists for name, value in constants(one.name, one.geometry).items()}
    found = {**of_lists, **dict(zip(OWN, own, strict=True)), "FAR": FAR}
    over = {run.over for run in plan.runs()}
    sizes = [one.geometry.size for one in plan.lists if one.name in over and one.geometry.size < block_n]
    return {**found, "PIECE": gcd(*sizes)} if sizes else found


def piece(source: KernelSource) -> int | None:
    """How many keys are copied at once where a list is gathered; None where none is."""
    found = re.search(r"^PIECE = gl\.constexpr\((\d+)\)", source.text, re.MULTILINE)
    return int(found[1]) if found is not None else None


@dataclass(frozen=True, slots=True)
class _Module:
    """Writes the functions of one module; `own` are the constants that are no parameters."""

    plan: TilePlan
    schedule: Schedule
    stretches: Stretches
    own: Mapping[str, int | float]

    def text(self, entry: str) -> str:
        """All functions, the kernel last."""
        at, kinds = self.stretches, self.stretches.kinds
        places = (*at.strips(), at.ends(), at.counted(), *map(at.places, kinds))
        partitions = (self._producer(), self._consumer().text())
        fetches = [skeleton.FETCH] * any(kind.pieces is None for kind in kinds)
        fetches += [skeleton.FETCH_PIECES] * any(kind.pieces is not None for kind in kinds)
        return "\n\n".join((*places, *fetches, *partitions, self._kernel(entry)))

    def wanted(self) -> Wanted:
        """What the kernel asks for besides query, key and value."""
        asked = (part for kind in self.stretches.kinds if kind.mask for part in parts(kind.mask))
        tokens = sorted({part.name for part in asked if isinstance(part, Attribute)})
        return Wanted(sloped(self.plan.pattern.score), tuple(self.stretches.lists), tuple(tokens))

    def _producer_arguments(self) -> str:
        at, kinds = self.stretches, self.stretches.kinds
        more = [at.entries(kinds), STANDING * at.striped(kinds), ", ".join(at.counts()), at.names()]
        described = PIECES if "PIECE" in self.own else ()
        return ", ".join([*described, skeleton.PRODUCER, *(part for part in more if part)])

    def _producer(self) -> str:
        w = Writer()
        w.line("@gluon.jit")
        signature(w, "producer", self._producer_arguments())
        with w.block(""):
            w.line('"""Copies the keys and values of every step; of a tile that sees no key, those of one step."""')
            w.line("before = 0")
            at, begun, kinds = self.stretches, "0", self.stretches.kinds
            for kind, after in zip(kinds, (*kinds[1:], None), strict=True):
                first = at.before(kind)
                with w.block(f"for t in range({'' if first == '0' else f'{first}, '}{at.upto(kind)}):"):
                    step = "t" if first == "0" else f"t - {first}"
                    called(w, f"start, stop = place_{kind.name}", at.place_arguments(step, kind))
                    called(w, *self._fetched(kind, "start, before, t", begun))
                    w.line("before = start")
                if after is None or after.pieces != kind.pieces:
                    self._last_values(w, kind, begun)
                    begun = at.upto(kind)
        return tight(w.source())

    def _fetched(self, kind: Kind, where: str, begun: str) -> tuple[str, str]:
        """The function that copies a step of one kind, and its arguments."""
        if kind.pieces is None:
            return "fetch", f"{skeleton.RINGS}, {where}, {begun}"
        over = f"{kind.pieces}_entries, {kind.pieces.upper()}_SIZE"
        return "fetch_pieces", f"{skeleton.PIECES}, {over}, stop, {where}, {begun}"

    def _last_values(self, w: Writer, kind: Kind, begun: str) -> None:
        """The values of the last step of those that began with one, if there are any."""
        last = f"before, {self.stretches.upto(kind)} - 1"
        call = "fetch_values", f"{skeleton.VALUES}, {last}"
        if kind.pieces is not None:
            (only,) = self.stretches.of(kind)
            over = f"{kind.pieces}_entries, {kind.pieces.upper()}_SIZE"
            call = "fetch_value_pieces", f"{skeleton.VALUE_PIECES}, {over}, stop_{only}, {last}"
        if begun == "0" and kind == self.stretches.kinds[-1]:
            called(w, *call)
            return
        with w.block(f"if {self.stretches.upto(kind)} > {begun}:"):
            called(w, *call)

    def _consumer(self) -> Consumer:
        tiles, tokens = _printer(self.plan, TILES, self.own), self.wanted().tokens
        anchored = self.schedule["lowering"] == ANCHORED
        return Consumer(self.stretches, self.plan.pattern.score, tiles, tokens, anchored)

    def _kernel(self, entry: str) -> str:
        consumers, wanted = self.schedule.number("BLOCK_M") // ROWS, self.wanted()
        w = Writer()
        self._decorator(w, wanted)
        signature(w, entry, ", ".join((*self._tensors(), *wanted.pointers(), *wanted.sizes(), "scale")))
        with w.block(""):
            w.line('"""Attends from one query tile of one head; scale is above 0."""')
            ends = ALIGNED if self.plan.aligned else EXISTING
            w.lines(skeleton.STAND.format(q_first=ends[Q_FIRST], q_last=ends[Q_LAST]))
            w.line()
            w.lines(skeleton.SHARED)
            if wanted.lists or wanted.tokens:
                w.line()
                w.line("q_heads = gl.num_programs(1)")
            lists = {one.name: one.geometry for one in self.plan.lists if one.name in self.stretches.lists}
            row_lines(w, lists, "q_heads")
            for name in wanted.tokens:
                w.line()
                w.lines(skeleton.TOKENS.format(name=name))
            w.line()
            self._counted(w)
            w.line()
            with w.block("gl.warp_specialize(", ")"):
                with w.block("[", "],"):
                    for part in range(consumers):
                        partition(w, "consumer", f"{part}, {self._consumer().arguments()}")
                    partition(w, "producer", self._producer_arguments())
                shared = registers(self.schedule, "PIECE" in self.own)
                w.line(f"{[4] * (consumers - 1) + [1]},")
                w.line(f"{[shared.consumer] * (consumers - 1) + [shared.producer]},")
        return tight(w.source())

    def _tensors(self) -> tuple[str, ...]:
        """What is passed besides lists, inputs and sizes."""
        return (*DESCRIBED, *(PIECES if "PIECE" in self.own else ()), "lse_ptr")

    def _decorator(self, w: Writer, wanted: Wanted) -> None:
        sizes = [f'"{size}"' for size in wanted.sizes()]
        if len(sizes) == len(SIZES):
            w.line(f"@gluon.jit(do_not_specialize=[{', '.join(sizes)}])")
            return
        with w.block("@gluon.jit(", ")"), w.block("do_not_specialize=[", "]"):
            w.lines("\n".join(f"{size}," for size in sizes))

    def _counted(self, w: Writer) -> None:
        """Where the stretches of the tile lie, and how many steps they have."""
        at = self.stretches
        lists = [f"{name}_entries, {name}_count" for name in at.lists]
        arguments = ", ".join([TILE, *lists])
        if len(at.names()) + len(arguments) <= WIDTH - 20:
            w.line(f"{at.names()} = ends({arguments})")
        else:
            with w.block("(", f") = ends({arguments})"):
                w.lines("\n".join(filled(at.names(), WIDTH - w.column)))
        called(w, f"{', '.join(at.counts())} = counted", at.names())
