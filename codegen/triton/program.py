"""Writes the kernel function: where the program stands, what it loads first, its loops, what it stores."""

from __future__ import annotations

from dataclasses import dataclass

from attncc.codegen.triton.arguments import HEAD_POINTER, Wanted
from attncc.codegen.triton.lists import row_lines, token_lines
from attncc.codegen.triton.loops import loops
from attncc.codegen.triton.rows import Rows
from attncc.codegen.triton.score import scale_text, sloped
from attncc.codegen.triton.specialized import merged
from attncc.codegen.triton.step import tokens
from attncc.codegen.triton.tile import TileText
from attncc.codegen.writer import Writer
from attncc.ir.expr import Q_FIRST, names
from attncc.ir.tile import Body, Branch, Run, Strips, TilePlan

KEYS = """\
kv_head = (head // group).to(tl.int64)
key_head_ptr = key_ptr + batch * key_batch_stride + kv_head * key_head_stride
value_head_ptr = value_ptr + batch * value_batch_stride + kv_head * value_head_stride
"""

DESCRIPTORS = """\
key_tiles = tl.make_tensor_descriptor(
    key_head_ptr, shape=[kv_len, HEAD_DIM], strides=[key_row_stride, 1], block_shape=[BLOCK_N, {columns}]
)
value_tiles = tl.make_tensor_descriptor(
    value_head_ptr, shape=[kv_len, HEAD_DIM], strides=[value_row_stride, 1], block_shape=[BLOCK_N, {columns}]
)
"""

LANE = "lane = tl.arange(0, BLOCK_N)[:, None]"


@dataclass(frozen=True, slots=True)
class Program:
    """Writes one kernel: what its rows are, what its steps have in common, what it asks for.

    `inputs` are the options of the rule of combination that are inputs by head, as (option, input). `specialized`: its
    runs are one loop, see `merged`.
    """

    plan: TilePlan
    rows: Rows
    tile: TileText
    wanted: Wanted
    inputs: tuple[tuple[str, str], ...]
    specialized: bool = False

    def text(self, entry: str) -> str:
        """The kernel as text."""
        w = Writer()
        self._decorator(w)
        with w.block(f"def {entry}("):
            w.lines("\n".join(f"{name}," for name in self.wanted.arguments()))
        with w.block("):"):
            w.line(f'"""{self.rows.about}"""')
            if self.rows.walk is None:
                self._attend(w)
            else:
                before, turns = self.rows.walk
                w.lines(before)
                with w.block(turns):
                    self._attend(w)
        return w.source()

    def _attend(self, w: Writer) -> None:
        """From one query tile."""
        self._opening(w)
        if self.specialized:
            merged(w, self.tile, self.plan)
        else:
            loops(w, self.tile, self.plan.body)
        w.line()
        self._closing(w)

    def _decorator(self, w: Writer) -> None:
        sizes = [f'"{size}"' for size in self.wanted.sizes()]
        if not (self.wanted.lists or self.wanted.tokens or self.wanted.heads or self.wanted.grouped):
            w.line(f"@triton.jit(do_not_specialize=[{', '.join(sizes)}])")
            return
        with w.block("@triton.jit(", ")"), w.block("do_not_specialize=[", "]"):
            w.lines("\n".join(f"{size}," for size in sizes))

    def _opening(self, w: Writer) -> None:
        columns, stored = self.tile.columns, self._stored()
        asked = mentioned(self.plan.body)
        if any(geometry.grain is not None for geometry in self.tile.lists.values()):
            asked |= {Q_FIRST}
        w.lines(self.rows.stand)
        for end, text in self.rows.ends.items():
            if end in asked:
                w.line(f"{end} = {text}")
        w.lines(self.rows.rows.format(columns=columns, stored=stored))
        w.line()
        w.lines(KEYS)
        if self.tile.descriptors:
            w.lines(DESCRIPTORS.format(columns=columns))
        gathered = self.tile.unit is None and any(run.over is not None for run in self.plan.runs())
        if gathered or not self.tile.descriptors:
            w.line(LANE)
        row_lines(w, self.tile.lists, self.rows.q_heads)
        of_rows = {name for run in self.plan.runs() for name in tokens(run.mask, "q")}
        token_lines(w, self.wanted.tokens, of_rows, self.rows.q_heads, self.rows.tokens_mask)
        w.line()
        self._state(w)

    def _state(self, w: Writer) -> None:
        if sloped(self.tile.rules):
            w.line(f"slope = {self.rows.by_head.format(pointer='slope_ptr')}")
        for option, name in self.inputs:
            w.line(f"{option} = {self.rows.by_row.format(pointer=f'{name}_{HEAD_POINTER}')}")
        w.line(f"score_scale = {scale_text(self.tile.rules)}")
        w.lines(self.tile.combine.start)
        w.line(f"acc = tl.zeros([BLOCK_M, {self.tile.columns}], tl.float32)")

    def _closing(self, w: Writer) -> None:
        w.lines(self.tile.combine.total)
        w.line("out = (acc / total[:, None]).to(query.dtype)")
        w.lines(self.rows.out.format(stored=self._stored()))
        w.line(f"lse = {self.tile.combine.lse}")
        w.lines(self.rows.lse)

    def _stored(self) -> str:
        """The part of a query tile that exists."""
        return "exists & (dim < HEAD_DIM)" if self.tile.padded else "exists"


def mentioned(body: Body) -> frozenset[str]:
    """The names in the bounds, conditions and masks of `body`."""
    found: set[str] = set()
    for node in body:
        match node:
            case Run(first, stop, mask):
                found.update(*(names(part) for part in (first, stop, mask) if part is not None))
            case Strips(lo, hi, _, inner):
                found |= names(lo) | names(hi) | mentioned(inner)
            case Branch(condition, then, orelse):
                found |= names(condition) | mentioned(then) | mentioned(orelse)
    return frozenset(found)
