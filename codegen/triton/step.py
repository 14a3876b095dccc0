"""Writes one step of a run: loads BLOCK_N keys, multiplies, masks, weighs, and adds their values."""

from __future__ import annotations

from attncc.codegen.triton.breaking import WIDTH, pieces
from attncc.codegen.triton.lists import TOKENS_OF_KEYS, key_lines
from attncc.codegen.triton.score import factor_text, rule_lines, sloped
from attncc.codegen.triton.tile import TileText
from attncc.codegen.writer import Writer
from attncc.ir.expr import Attribute, BoolExpr, Compare, Position, Var, names, parts

#: Of the places in a list that a step looks at, those in the run.
PRESENT = Compare("<", Var("place"), Var("stop"))


def step_lines(w: Writer, tile: TileText, mask: BoolExpr | None, over: str | None = None) -> None:
    """The keys from `start` on; or, with `over`, those at the places from `start` on of the tile's row of that list.

    Without a mask, all rows see all of them.
    """
    asked = tokens(mask, "kv")
    _rows_of_keys(w, tile, mask, over)
    if asked:
        w.line(_positions(over))
        w.lines("\n".join(TOKENS_OF_KEYS.format(name=name) for name in asked))
    w.line(f"key = {_load(tile, 'key', mask, over)}")
    w.line(f"score = tl.dot(query, key.T{tile.precision})")
    if not asked and (sloped(tile.rules) or (mask is not None and "kv" in names(mask))):
        w.line(_positions(over))
    for line in rule_lines(tile.rules):
        w.line(line)
    if mask is not None and over is not None:
        w.line("place = at.T")
    if mask is not None:
        mask_lines(w, tile, mask)
    w.lines(tile.combine.step.format(factor=factor_text(tile.rules)))
    w.line(f"value = {_load(tile, 'value', mask, over)}")
    w.line(f"acc = tl.dot(weight.to(value.dtype), value, {tile.combine.carried}{tile.precision})")


def tokens(mask: BoolExpr | None, position: Position) -> list[str]:
    """The inputs that a mask asks for tokens of queries, or of keys."""
    asked = parts(mask) if mask is not None else ()
    return sorted({part.name for part in asked if isinstance(part, Attribute) and part.position == position})


def _rows_of_keys(w: Writer, tile: TileText, mask: BoolExpr | None, over: str | None) -> None:
    """Which rows of key and value to load, unless a descriptor counts them itself."""
    if over is not None:
        w.line("at = start + lane")
        w.lines("\n".join(key_lines(over, tile.lists[over], "" if mask is None else ", mask=at < stop, other=0")))
        w.line("kv_row = position.to(tl.int64)")
    elif not tile.descriptors:
        w.line("kv_row = (start + lane).to(tl.int64)")


def _positions(over: str | None) -> str:
    return "kv = start + tl.arange(0, BLOCK_N)[None, :]" if over is None else "kv = position.T"


def _load(tile: TileText, tensor: str, mask: BoolExpr | None, over: str | None) -> str:
    """A tile of keys or values; a masked step can reach past the last key, or past the last place of a list."""
    if tile.descriptors and over is None:
        return f"{tensor}_tiles.load([start, 0])"
    present = "kv_row < kv_len" if over is None else "at < stop"
    checks = [present] * (mask is not None) + ["dim < HEAD_DIM"] * tile.padded
    given = " & ".join(f"({check})" for check in checks) if len(checks) > 1 else "".join(checks)
    masked = f", mask={given}, other=0.0" if given else ""
    return f"tl.load({tensor}_head_ptr + kv_row * {tensor}_row_stride + dim{masked})"


def mask_lines(w: Writer, tile: TileText, mask: BoolExpr) -> None:
    """Scores outside `mask` become -inf."""
    line = f'score = tl.where({tile.tiles(mask)}, score, float("-inf"))'
    if len(line) <= WIDTH:
        w.line(line)
        return
    with w.block("keep = (", ")"):
        w.lines("\n".join(pieces(tile.tiles, mask)))
    w.line('score = tl.where(keep, score, float("-inf"))')
