"""Writes the partition that attends: its first step, one loop for each kind of steps, what it stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attncc.codegen.triton.breaking import WIDTH, pieces
from attncc.codegen.triton.exprs import TritonPrinter
from attncc.codegen.triton.gluon import skeleton
from attncc.codegen.triton.gluon.segments import FULL, MASKED
from attncc.codegen.triton.gluon.stretches import Stretches
from attncc.codegen.triton.gluon.writing import called, signature, tight
from attncc.codegen.triton.lists import TOKENS_OF_KEYS
from attncc.codegen.triton.score import factor_text, rule_lines, scale_text, sloped
from attncc.codegen.triton.step import tokens
from attncc.codegen.writer import Writer
from attncc.ir.expr import Q_FIRST, Q_LAST, BoolExpr, Compare, Var, names
from attncc.ir.fold import conjunction
from attncc.ir.pattern import ScoreRule

#: Above each loop.
REMARKS = {FULL: "# Keys that all rows see.", MASKED: "# Keys that some rows see."}
#: Where a tile stands.
STANDING = ("batch", "head", Q_FIRST, Q_LAST)
INSIDE = Compare("<", Var("kv"), Var("stop"))


@dataclass(frozen=True, slots=True)
class Consumer:
    """Writes the function. `tiles` prints masks; `anchored`: something holds the exponentials in front of the wait."""

    stretches: Stretches
    rules: tuple[ScoreRule, ...]
    tiles: TritonPrinter
    tokens: Sequence[str]
    anchored: bool

    def arguments(self) -> str:
        """The arguments after the number of the part."""
        slope = "slope_ptr, " if sloped(self.rules) else ""
        placed = self._placed_kinds()
        more = [
            *(f"{name}_tokens" for name in self.tokens),
            *(self.stretches.entries(placed).split(", ") if self.stretches.entries(placed) else []),
            *self._asked(),
            *self.stretches.counts(),
            *(self.stretches.names(placed).split(", ") if self.stretches.names(placed) else []),
        ]
        return ", ".join([skeleton.CONSUMER.format(slope=slope), *more])

    def text(self) -> str:
        """The function."""
        w = Writer()
        w.line("@gluon.jit")
        signature(w, "consumer", f"PART: gl.constexpr, {self.arguments()}")
        with w.block(""):
            w.line('"""Attends from ROWS rows of the query tile; its step t waits for step t of the producer."""')
            w.lines(skeleton.CONSUMER_OPENING)
            for name in self.tokens:
                if name in {one for _, mask in self.stretches.steps.masks for one in tokens(mask, "q")}:
                    w.line(f"{name}_q = tl.load({name}_tokens + tl.maximum(q, 0), mask=q < kv_len, other=0)")
            if sloped(self.rules):
                w.line("slope = tl.load(slope_ptr + head)")
            w.line(f"score_scale = {scale_text(self.rules)}")
            w.lines(skeleton.STATE)
            w.line()
            self._first(w)
            for kind in self.stretches.kinds():
                w.line()
                self._loop(w, kind)
            w.line()
            w.lines(skeleton.CLOSING)
        return tight(w.source())

    def _asked(self) -> list[str]:
        """What the function must know of the tile, besides its rows and sizes."""
        asked = {name for _, mask in self.stretches.steps.masks for name in names(mask)}
        asked |= {"head"} if sloped(self.rules) else set()
        asked |= set(STANDING) if self.stretches.striped(self._placed_kinds()) else set()
        return [name for name in STANDING if name in asked]

    def _placed_kinds(self) -> list[str]:
        """The kinds of steps whose positions matter: those with a mask, and all where the score depends on them."""
        return [kind for kind in self.stretches.kinds() if kind != FULL or sloped(self.rules)]

    def _first(self, w: Writer) -> None:
        """The first step of all, of whichever kind."""
        w.line("# The first step, masked unless all rows see its keys.")
        w.lines(skeleton.FIRST_SCORES)
        masked = [kind for kind in self.stretches.kinds() if kind != FULL]
        keeps = [f"{FULL} > 0"] if FULL in self.stretches.kinds() else []
        for at, kind in enumerate(masked):
            if at == 0:
                self._placed(w, kind, "0")
                w.lines("" if kind == MASKED else f"at_{kind} = stop > 0")
            else:
                self._placed(w, kind, "0", "first, end")
                w.line(f"at_{kind} = ({self.stretches.before(kind)} == 0) & (end > 0)")
                w.line(f"start = tl.where(at_{kind}, first, start)")
        if sloped(self.rules) and FULL in self.stretches.kinds():
            self._placed(w, FULL, "0", "first, end")
            w.line(f"start = tl.where({FULL} > 0, first, start)")
        w.line("kv = start + lane")
        self._tokens(w, [mask for _, mask in self.stretches.steps.masks])
        w.lines("\n".join(rule_lines(self.rules)))
        for kind, mask in self.stretches.steps.masks:
            self._named(w, f"keep_{kind}", self._mask(kind, mask))
            keeps.append(f"keep_{kind}" if kind == MASKED else f"(at_{kind} & keep_{kind})")
        w.line(f"keep = {' | '.join(f'({one})' if ' > ' in one else one for one in keeps)}")
        w.line('score = tl.where(keep, score, float("-inf"))')
        self._weighed(w)
        w.line(skeleton.WEIGH)

    def _mask(self, kind: str, mask: BoolExpr) -> BoolExpr:
        return conjunction(mask, INSIDE) if kind == MASKED else mask

    def _loop(self, w: Writer, kind: str) -> None:
        mask = dict(self.stretches.steps.masks).get(kind)
        kinds, counts, before = self.stretches.kinds(), self.stretches.counts(), self.stretches.before(kind)
        start = "1" if before == "0" else f"tl.maximum({before}, 1)"
        w.line(REMARKS.get(kind, f"# Keys of `{self._list_of(kind)}` that some rows see."))
        early = mask is not None and kind != MASKED
        with w.block(f"for t in range({start}, {counts[kinds.index(kind)]}):"):
            step = "t" if before == "0" else f"t - {before}"
            if early:
                # What is loaded is on its way while the products are waited for.
                self._placed(w, kind, step)
                w.line("kv = start + lane")
                self._tokens(w, [] if mask is None else [mask])
            w.lines(skeleton.PRODUCTS)
            if not early and (mask is not None or sloped(self.rules)):
                self._placed(w, kind, step)
                w.line("kv = start + lane")
            w.lines("\n".join(rule_lines(self.rules)))
            if mask is not None:
                self._kept(w, self._mask(kind, mask))
            self._weighed(w)
            if self.anchored:
                w.line("row_sum = anchor(row_sum)")
            w.lines(skeleton.RESCALE)
            w.line(skeleton.WEIGH)

    def _list_of(self, kind: str) -> str:
        return next(one.over or "" for one in self.stretches.visited() if one.kind == kind)

    def _placed(self, w: Writer, kind: str, step: str, results: str = "start, stop") -> None:
        called(w, f"{results} = place_{kind}", self.stretches.place_arguments(step, kind))

    def _tokens(self, w: Writer, masks: Sequence[BoolExpr]) -> None:
        asked = sorted({name for mask in masks for name in tokens(mask, "kv")})
        w.lines("\n".join(TOKENS_OF_KEYS.format(name=name) for name in asked))

    def _kept(self, w: Writer, mask: BoolExpr) -> None:
        """Scores outside `mask` become -inf."""
        line = f'score = tl.where({self.tiles(mask)}, score, float("-inf"))'
        if len(line) <= WIDTH - w.column:
            w.line(line)
            return
        self._named(w, "keep", mask)
        w.line('score = tl.where(keep, score, float("-inf"))')

    def _named(self, w: Writer, name: str, mask: BoolExpr) -> None:
        line = f"{name} = {self.tiles(mask)}"
        if len(line) <= WIDTH - w.column:
            w.line(line)
            return
        with w.block(f"{name} = (", ")"):
            w.lines("\n".join(pieces(self.tiles, mask)))

    def _weighed(self, w: Writer) -> None:
        """From scores to weights."""
        factor = factor_text(self.rules)
        w.line(f"weight, rescale, row_max, row_sum = softmax_step(score, {factor}, row_max, row_sum)")
