"""Writes the partition that attends: its first step, one loop for each kind of steps, what it stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attncc.codegen.triton.breaking import WIDTH, pieces
from attncc.codegen.triton.exprs import TritonPrinter
from attncc.codegen.triton.gluon import skeleton
from attncc.codegen.triton.gluon.segments import MASKED, Kind
from attncc.codegen.triton.gluon.stretches import Stretches
from attncc.codegen.triton.gluon.writing import called, signature, tight
from attncc.codegen.triton.lists import TOKENS_OF_KEYS
from attncc.codegen.triton.score import factor_text, rule_lines, scale_text, sloped
from attncc.codegen.triton.step import tokens
from attncc.codegen.writer import Writer
from attncc.ir.expr import Q_FIRST, Q_LAST, BoolExpr, Compare, Var, names
from attncc.ir.fold import conjunction
from attncc.ir.pattern import ScoreRule

#: Of the keys of a step, those in the stretch.
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
                if name in {one for mask in self._masks() for one in tokens(mask, "q")}:
                    w.line(f"{name}_q = tl.load({name}_tokens + tl.maximum(q, 0), mask=q < kv_len, other=0)")
            if sloped(self.rules):
                w.line("slope = tl.load(slope_ptr + head)")
            w.line(f"score_scale = {scale_text(self.rules)}")
            w.lines(skeleton.STATE)
            w.line()
            self._first(w)
            for loop in self._loops():
                w.line()
                self._loop(w, *loop)
            w.line()
            w.lines(skeleton.CLOSING)
        return tight(w.source())

    def _asked(self) -> list[str]:
        """What the function must know of the tile, besides its rows and sizes."""
        asked = {name for mask in self._masks() for name in names(mask)}
        asked |= {"head"} if sloped(self.rules) else set()
        asked |= set(STANDING) if self.stretches.striped(self._placed_kinds()) else set()
        return [name for name in STANDING if name in asked]

    def _masks(self) -> list[BoolExpr]:
        return [kind.mask for kind in self.stretches.kinds if kind.mask is not None]

    def _placed_kinds(self) -> list[Kind]:
        """The kinds of steps whose positions matter: those with a mask, and all where the score depends on them."""
        return [kind for kind in self.stretches.kinds if kind.mask is not None or sloped(self.rules)]

    def _first(self, w: Writer) -> None:
        """The first step of all, of whichever kind."""
        w.line("# The first step, masked unless all rows see its keys.")
        w.lines(skeleton.FIRST_SCORES)
        full = [kind for kind in self.stretches.kinds if kind.mask is None]
        keeps = [f"({self.stretches.upto(full[-1])} > 0)"] if full else []
        for kind in self._placed_kinds():
            self._positions(w, kind, "0")
            before = self.stretches.before(kind)
            here = "(stop > 0)" if before == "0" else f"({before} == 0) & (stop > 0)"
            if sloped(self.rules):
                chosen = "kv" if kind == self._placed_kinds()[0] else f"tl.where({here}, kv, positions)"
                w.line(f"positions = {chosen}")
            if kind.mask is not None:
                self._tokens(w, kind.mask)
                self._named(w, f"keep_{kind.name}", self._mask(kind, kind.mask))
                keeps.append(f"keep_{kind.name}")
                if kind.name != MASKED:
                    w.line(f"{keeps[-1]} = {here} & {keeps[-1]}")
        if sloped(self.rules):
            w.line("kv = positions")
        w.lines("\n".join(rule_lines(self.rules)))
        w.line(f"keep = {' | '.join(keeps)}")
        w.line('score = tl.where(keep, score, float("-inf"))')
        self._weighed(w)
        w.line(skeleton.WEIGH)

    def _mask(self, kind: Kind, mask: BoolExpr) -> BoolExpr:
        """The mask of a kind of steps, which may reach past the end of their stretch; of lists, it says so itself."""
        return conjunction(mask, INSIDE) if kind.name == MASKED else mask

    def _loops(self) -> Iterator[tuple[Kind, str, str]]:
        """A loop for each kind of steps, and from which to before which step it goes; one for those whose positions do
        not matter."""
        start = "0"
        for at, kind in enumerate(self.stretches.kinds):
            more = self.stretches.kinds[at + 1 :]
            if sloped(self.rules) or kind.mask is not None or not more or more[0].mask is not None:
                yield kind, start, self.stretches.upto(kind)
                start = self.stretches.upto(kind)

    def _loop(self, w: Writer, kind: Kind, start: str, stop: str) -> None:
        early = kind.mask is not None and kind.name != MASKED
        step = "t" if self.stretches.before(kind) == "0" else f"t - {self.stretches.before(kind)}"
        whose = f" of `{self._list_of(kind)}`" if early else ""
        w.line(f"# Keys{whose} that {'all' if kind.mask is None else 'some'} rows see.")
        with w.block(f"for t in range({'1' if start == '0' else f'tl.maximum({start}, 1)'}, {stop}):"):
            if early:
                # What is loaded is on its way while the products are waited for.
                self._positions(w, kind, step)
                self._tokens(w, kind.mask)
            w.lines(skeleton.PRODUCTS)
            if not early and kind in self._placed_kinds():
                self._positions(w, kind, step)
            w.lines("\n".join(rule_lines(self.rules)))
            if kind.mask is not None:
                self._kept(w, self._mask(kind, kind.mask))
            self._weighed(w)
            if self.anchored:
                w.line("row_sum = anchor(row_sum)")
            w.lines(skeleton.RESCALE)
            w.line(skeleton.WEIGH)

    def _list_of(self, kind: Kind) -> str:
        return self.stretches.visited()[self.stretches.of(kind)[0]].over or ""

    def _positions(self, w: Writer, kind: Kind, step: str) -> None:
        """The keys of a step."""
        called(w, f"start, stop = place_{kind.name}", self.stretches.place_arguments(step, kind))
        if kind.pieces is None:
            w.line("kv = start + lane")
            return
        w.line("place = start + lane")
        w.line(f"kv = key_at({kind.pieces}_entries, place, place < stop, {kind.pieces.upper()}_SIZE)")

    def _tokens(self, w: Writer, mask: BoolExpr | None) -> None:
        w.lines("\n".join(TOKENS_OF_KEYS.format(name=name) for name in tokens(mask, "kv")))

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
