"""The functions that take keys into a block that holds their positions: from runs, from lists, those wanted of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from attncc.codegen.cpu.exprs import SCALARS, CPrinter
from attncc.codegen.cpu.kinds import Kind, Kinds
from attncc.codegen.cpu.layout import filled, guarded, listed, prototyped
from attncc.codegen.cpu.needs import Needs, base, entry
from attncc.codegen.cpu.numbers import namer
from attncc.codegen.cpu.parts import part
from attncc.codegen.writer import Writer
from attncc.ir.expr import Attribute, Member, names
from attncc.ir.tile import TilePlan

BLOCK, MASK, ONLY = "struct block *block", "const enum mask mask", "const enum only only"
ENDS = ("int64_t first", "int64_t end")

#: What each function is told.
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "visit": (BLOCK, *ENDS, "int64_t step"),
    "visit_list": (BLOCK, "const struct row row", "const int size", "int64_t base", *ENDS),
    "visit_some": (BLOCK, *ENDS),
}

#: What a task takes of the keys of a run, by number; in decode, the keys are split over tasks.
NUMBERS: Mapping[str, Mapping[str, str]] = {
    "prefill": {"BEGIN_RUN": "int64_t at = 0;", "STOP": "keys"},
    "decode": {
        "BEGIN_RUN": "const struct share share = share_of(block, keys);\nint64_t at = share.first;",
        "STOP": "share.stop",
    },
}

#: The first row of the tile.
FIRST: Mapping[str, str] = {"prefill": "block->q_first", "decode": "block->q"}

#: What a condition on keys may speak of besides the key.
LOCALS: Mapping[str, str] = {
    "head": "block->head",
    "batch": "block->batch",
    "q_len": "block->call->q_len",
    "kv_len": "block->call->kv_len",
}


@dataclass(frozen=True, slots=True)
class Gathers:
    """What the functions of one kernel depend on; `take` is the text of the function that takes keys in,
    `unit` the number of keys that must not be torn apart, if any."""

    plan: TilePlan
    kinds: Kinds
    needs: Needs
    phase: str
    take: str
    unit: int | None

    def functions(self) -> Iterator[str]:
        """`take`, what walks the keys of runs, and visit_<kind> for the runs of each kind, as the plan needs them."""
        mask = (MASK,) if self.kinds.masks else ()
        yield self._function("take", (BLOCK, "int count", *mask), self.take)
        if self.phase == "decode":
            yield part("share" if self.unit is None else "share_units")
        if self.kinds.onlys:
            yield self._wanted()
        for walk, parameters in PARAMETERS.items():
            if any(kind.walk == walk for kind in self.kinds.all):
                only = (ONLY,) if self.kinds.onlys and walk != "visit" else ()
                yield self._function(walk, (*parameters, *mask, *only), part(f"{walk}_gathered"))
        yield from map(self._visit, self.kinds.all)

    def _function(self, name: str, parameters: tuple[str, ...], text: str) -> str:
        opening = listed(f"static inline __attribute__((always_inline)) void {name}(", parameters, ") {")
        count = "count += wanted(block, kv, only);" if self.kinds.onlys else "count++;"
        rests = "\n".join(f"block->{asked}_rest = block->{asked}_list;" for asked in self.needs.asked)
        numbers = NUMBERS[self.phase]
        whole = "" if self.unit is None else "if (block->count % UNIT != 0) {\n    absorb(block);\n}"
        lines = {"OPENING": opening, "WHOLE_UNITS": whole, "BEGIN_RESTS": rests, "COUNT_KEY": count}
        lines["BEGIN_RUN"] = numbers["BEGIN_RUN"]
        mask = ", mask" if self.kinds.masks else ""
        return filled(text, lines).replace("STOP", numbers["STOP"]).replace(" MASK_ARGUMENT", mask)

    def _wanted(self) -> str:
        """The function that says whether a key is visited at all."""
        used = frozenset[str]().union(*(names(only) for only in self.kinds.onlys))
        printer = CPrinter(SCALARS, namer(self.plan.pattern), self._given)
        writer = Writer()
        writer.line("/* Whether a key is visited at all; asked for rising keys of one run. */")
        opening = listed("static inline __attribute__((always_inline)) int wanted(", (BLOCK, "int64_t kv", ONLY), ") {")
        with writer.block(opening, "}"):
            for word, value in LOCALS.items():
                if word in used:
                    writer.line(f"const int64_t {word} = {value};")
            with writer.block("switch (only) {", "}"):
                writer.lines("case ANY:\n    break;")
                for only, name in self.kinds.onlys.items():
                    writer.lines(f"case {name}:\n    return {printer(only)};")
            writer.line("return 1;")
        return guarded(writer.source())

    def _given(self, node: Attribute | Member) -> str:
        match node:
            case Attribute(name):
                return f"block->{name}_tokens[kv]"
            case Member(name):
                return f"holds(&block->{name}_rest, {entry(self.needs.lists[name], FIRST[self.phase])})"

    def _visit(self, kind: Kind) -> str:
        """The function for all runs of one kind."""
        parameters = PARAMETERS["visit" if kind.walk == "visit" else "visit_some"]
        opening = listed(f"static __attribute__((noinline)) void {self.kinds.visit(kind)}(", parameters, ") {")
        arguments = ["block", *self._row(kind), "first", "end", *(["step"] if kind.walk == "visit" else [])]
        if self.kinds.masks:
            arguments.append(self.kinds.mask(kind))
        if self.kinds.onlys and kind.walk != "visit":
            arguments.append(self.kinds.only(kind))
        body = listed(f"    {kind.walk}(", arguments, ");")
        return prototyped(f"{opening}\n{body}\n}}\n", self.kinds.visit(kind))

    def _row(self, kind: Kind) -> tuple[str, ...]:
        if kind.over is None:
            return ()
        geometry = self.needs.lists[kind.over]
        return f"block->{kind.over}_list", str(geometry.size), base(geometry, FIRST[self.phase])
