"""Writes the functions that say where the steps of a kernel lie: ends of stretches, numbers of steps, places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attncc.codegen.triton.gluon.segments import Segment
from attncc.codegen.triton.gluon.writing import listed, signature, tight
from attncc.codegen.writer import Writer

#: Steps without a mask come first.
FULL, MASKED = "full", "masked"


@dataclass(frozen=True, slots=True)
class Stretches:
    """The stretches of a plan, in its order."""

    found: Sequence[Segment]

    def visited(self) -> list[Segment]:
        """The stretches in the order of their steps: those without a mask first."""
        return sorted((one for one in self.found if one.stop), key=lambda one: one.mask is not None)

    def ends(self) -> str:
        """The function of both ends of every stretch."""
        order = self.visited()
        w = Writer()
        w.line("@gluon.jit")
        with w.block("def ends(batch, head, q_first, q_last, q_len, kv_len):"):
            w.line('"""The first key and the end of each stretch of keys; those without a mask are visited first."""')
            for one in self.found:
                w.lines("\n".join((*([one.remark] if one.remark else []), *one.lines)))
                if one.stop:
                    w.line(f"first_{order.index(one)} = {one.first}")
                    w.line(f"stop_{order.index(one)} = {one.stop}")
            listed(w, "return ", self.names())
        return w.source()

    def counted(self) -> str:
        """The function that counts steps."""
        full = sum(one.mask is None for one in self.visited())
        w = Writer()
        w.line("@gluon.jit")
        signature(w, "counted", self.names())
        with w.block(""):
            w.line('"""How many steps have no mask, and how many there are in all; a tile that sees no key has one."""')
            w.line("steps = 0")
            for at in range(full):
                w.line(f"steps += tl.cdiv(tl.maximum(stop_{at} - first_{at}, 0), BLOCK_N)")
            w.line("full = steps")
            for at in range(full, len(self.visited())):
                w.line(f"steps += tl.cdiv(tl.maximum(stop_{at} - first_{at}, 0), BLOCK_N)")
            w.line("return full, tl.maximum(steps, 1)")
        return tight(w.source())

    def places(self, kind: str) -> str:
        """Where steps lie whose stretches are of one kind, counted from the first of them."""
        w = Writer()
        w.line("@gluon.jit")
        signature(w, f"place_{kind}", f"t, {self.names(kind)}" if self.names(kind) else "t")
        with w.block(""):
            w.line(
                f'"""The first key of step t of the {kind} ones, and the end of its stretch; 0 where there is none."""'
            )
            w.lines("start = 0\nstop = 0")
            for at in self.of(kind):
                w.line(f"steps = tl.cdiv(tl.maximum(stop_{at} - first_{at}, 0), BLOCK_N)")
                w.line("here = (t >= 0) & (t < steps)")
                w.line(f"start = tl.where(here, first_{at} + t * BLOCK_N, start)")
                w.line(f"stop = tl.where(here, stop_{at}, stop)")
                w.line("t -= steps")
            w.line("return start, stop")
        return tight(w.source())

    def of(self, kind: str) -> list[int]:
        """The numbers of the stretches of one kind."""
        return [at for at, one in enumerate(self.visited()) if (one.mask is None) == (kind == FULL)]

    def names(self, kind: str | None = None) -> str:
        """Their ends by name, as arguments and as results."""
        which = range(len(self.visited())) if kind is None else self.of(kind)
        return ", ".join(f"first_{at}, stop_{at}" for at in which)
