"""Writes the functions that say where the steps of a kernel lie: ends of stretches, numbers of steps, places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attncc.codegen.triton.gluon.segments import FULL, Kind, Segment, Steps
from attncc.codegen.triton.gluon.writing import listed, signature, tight
from attncc.codegen.writer import Writer

#: Where a query tile stands, as arguments.
TILE = "batch, head, q_first, q_last, q_len, kv_len"


@dataclass(frozen=True, slots=True)
class Stretches:
    """The stretches of a plan. `lists` are the names of the lists that some of them go over."""

    steps: Steps
    lists: Sequence[str]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of steps that there may be, in the order of their visits."""
        return self.steps.kinds

    def counts(self) -> list[str]:
        """For each kind, the name of how many steps it and the kinds before it have; the last of them is `steps`."""
        *before, _ = self.kinds
        return [*(kind.name if kind.name == FULL else f"to_{kind.name}" for kind in before), "steps"]

    def upto(self, kind: Kind) -> str:
        """How many steps a kind and those before it have."""
        return self.counts()[self.kinds.index(kind)]

    def before(self, kind: Kind) -> str:
        """How many steps the kinds before one have."""
        at = self.kinds.index(kind)
        return self.counts()[at - 1] if at else "0"

    def visited(self) -> list[Segment]:
        """The stretches in the order of their steps."""
        order = [kind.name for kind in self.kinds]
        return sorted((one for one in self.steps.segments if one.stop), key=lambda one: order.index(one.kind))

    def of(self, kind: Kind) -> list[int]:
        """The numbers of the stretches of one kind."""
        return [at for at, one in enumerate(self.visited()) if one.kind == kind.name]

    def names(self, kinds: Sequence[Kind] | None = None) -> str:
        """Their ends by name, as arguments and as results: of all, or of those of some kinds."""
        which = range(len(self.visited())) if kinds is None else [at for kind in kinds for at in self.of(kind)]
        return ", ".join(f"first_{at}, stop_{at}" for at in which)

    def entries(self, kinds: Sequence[Kind]) -> str:
        """The entries of the lists that stretches of some kinds go over, as arguments."""
        over = {self.visited()[at].over for kind in kinds for at in self.of(kind)}
        return ", ".join(f"{name}_entries" for name in self.lists if name in over)

    def striped(self, kinds: Sequence[Kind]) -> bool:
        """Whether some stretches of these kinds are strips, whose keys depend on the tile."""
        return any(self.visited()[at].strip is not None for kind in kinds for at in self.of(kind))

    def ends(self) -> str:
        """The function of both ends of every stretch."""
        # Two stretches may read alike.
        number = {id(one): at for at, one in enumerate(self.visited())}
        w = Writer()
        w.line("@gluon.jit")
        signature(w, "ends", ", ".join([TILE, *(f"{name}_entries, {name}_count" for name in self.lists)]))
        with w.block(""):
            w.line(f'"""The first key and the end of each stretch of keys, in the order of visits{self._about()}."""')
            for one in self.steps.segments:
                w.lines("\n".join((*([one.remark] if one.remark else []), *one.lines)))
                if one.stop:
                    w.line(f"first_{number[id(one)]} = {one.first}")
                    w.line(f"stop_{number[id(one)]} = {one.stop}")
            listed(w, "return ", self.names())
        return tight(w.source())

    def _about(self) -> str:
        over = [*["a list"] * bool(self.lists), *["strips"] * self.striped(self.kinds)]
        return f"; over {' and '.join(over)}, their places" if over else ""

    def counted(self) -> str:
        """The function that counts steps."""
        w = Writer()
        w.line("@gluon.jit")
        signature(w, "counted", self.names())
        with w.block(""):
            w.line('"""How many steps there are up to the last of each kind; a tile that sees no key has one."""')
            w.line("steps = 0")
            for kind, count in zip(self.kinds, self.counts(), strict=True):
                for at in self.of(kind):
                    w.line(f"steps += tl.cdiv(tl.maximum(stop_{at} - first_{at}, 0), BLOCK_N)")
                if count != "steps":
                    w.line(f"{count} = steps")
            w.line(f"return {', '.join([*self.counts()[:-1], 'tl.maximum(steps, 1)'])}")
        return tight(w.source())

    def places(self, kind: Kind) -> str:
        """Where steps of one kind lie, counted from the first of them."""
        what = "key" if kind.pieces is None else f"place in `{kind.pieces}`"
        w = Writer()
        w.line("@gluon.jit")
        signature(w, f"place_{kind.name}", self.place_arguments("t", kind))
        with w.block(""):
            w.line(f'"""The first {what} of step t of this kind, and the end of its stretch; 0 where there is none."""')
            w.lines("start = 0\nstop = 0")
            for at in self.of(kind):
                w.line(f"steps = tl.cdiv(tl.maximum(stop_{at} - first_{at}, 0), BLOCK_N)")
                w.line("here = (t >= 0) & (t < steps)")
                w.line(f"start = tl.where(here, {self._start(at, kind)}, start)")
                w.line(f"stop = tl.where(here, stop_{at}, stop)")
                if at != self.of(kind)[-1]:
                    w.line("t -= steps")
            w.line("return start, stop")
        return tight(w.source())

    def place_arguments(self, step: str, kind: Kind) -> str:
        """The arguments of the function of places of one kind."""
        entries = "" if kind.pieces is not None else self.entries([kind])
        parts = [step, entries, self.names([kind]), TILE * self.striped([kind])]
        return ", ".join(part for part in parts if part)

    def _start(self, at: int, kind: Kind) -> str:
        """Where step t of a stretch begins, if it is `here`."""
        one, place = self.visited()[at], f"first_{at} + t * BLOCK_N"
        if one.over is not None and kind.pieces is None:
            return f"key_at({one.over}_entries, {place}, here, {one.over.upper()}_SIZE)"
        return place if one.strip is None else f"strip_{at}({place}, {TILE})"

    def strips(self) -> Iterator[str]:
        """The functions of keys in strips."""
        for at, one in enumerate(self.visited()):
            if one.strip is not None:
                w = Writer()
                w.line("@gluon.jit")
                signature(w, f"strip_{at}", f"place, {TILE}")
                with w.block(""):
                    w.line('"""The key at a place of the strips, of which each has so many places."""')
                    turn = "" if one.strip.step == 1 else f" * {one.strip.step}"
                    w.line(f"strip = {one.strip.lo} + place // {one.strip.length}{turn}")
                    w.line(f"return {one.strip.first} + place % {one.strip.length}")
                yield tight(w.source())
