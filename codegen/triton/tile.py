"""What all steps of a kernel have in common: printers, how scores change, what the rows carry, how keys are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attncc.codegen.triton.breaking import WIDTH, pieces
from attncc.codegen.triton.exprs import TritonPrinter
from attncc.codegen.writer import Writer
from attncc.combines.rule import TritonText
from attncc.ir.expr import BoolExpr
from attncc.ir.pattern import ScoreRule
from attncc.ir.selection import Geometry


@dataclass(frozen=True, slots=True)
class TileText:
    """`unit`: the constant that holds how many keys a step takes, where the rule of combination asks for whole units;
    else None. `whole`: BLOCK_N is that many. `lists`: the geometry of each. `padded`: a key row is shorter than a tile
    is wide.
    """

    numbers: TritonPrinter
    tiles: TritonPrinter
    rules: tuple[ScoreRule, ...]
    combine: TritonText
    unit: str | None
    whole: bool
    lists: Mapping[str, Geometry]
    descriptors: bool
    padded: bool
    precision: str
    block_n: int

    @property
    def columns(self) -> str:
        """The constant that holds the width of a tile."""
        return "HEAD_BLOCK" if self.padded else "HEAD_DIM"

    def named(self, w: Writer, name: str, printer: TritonPrinter, condition: BoolExpr) -> None:
        """Gives a condition a name, in as many lines as it takes."""
        line = f"{name} = {printer(condition)}"
        if len(line) <= WIDTH:
            w.line(line)
            return
        with w.block(f"{name} = (", ")"):
            w.lines("\n".join(pieces(printer, condition)))
