"""How is a table of DuoAttention (arXiv 2410.10819) read as a plan?"""

from __future__ import annotations

import math
import re
from pathlib import Path

from attncc.errors import PlanTableUnreadable
from attncc.models.plan import DENSE_NAME, ModelSizes, Plan, Use
from attncc.models.plan_rules import rules_for

MADE_BY = "DuoAttention"
STREAMING = "streaming"


def from_duo_attention(
    path: Path, sparsity: float = 0.5, sink: int = 64, recent: int = 256, sizes: ModelSizes | None = None
) -> Plan:
    """The plan of the TSV file at `path`: a row for each layer, and in it the importance of each KV head, 0 to 1.

    The share `sparsity` of all heads that matter least streams, in prefill and in decode: it sees the first `sink` and
    the last `recent` keys. The others are dense. The threshold is the source's, the quantile of all values; where it
    breaks ties by chance, here the head of the lower layer streams first. `sizes`, where they are given, make the plan
    one for that model only. Raises PlanTableUnreadable.
    """
    rows = _rows(path)
    if sizes is not None and (sizes.layers, sizes.kv_heads) != (len(rows), len(rows[0])):
        found = f"it has {len(rows)} layers of {len(rows[0])} KV heads"
        raise PlanTableUnreadable(path, MADE_BY, f"{found}, the model {sizes.layers} of {sizes.kv_heads}")
    ranked = sorted((value, layer, head) for layer, row in enumerate(rows) for head, value in enumerate(row))
    streaming = {(layer, head) for _, layer, head in ranked[: _streaming(len(ranked), sparsity)]}
    names = [
        [STREAMING if (layer, head) in streaming else DENSE_NAME for head in range(len(row))]
        for layer, row in enumerate(rows)
    ]
    return Plan(
        name=re.sub("[^a-z0-9]+", "_", f"duo_attention_{path.parent.name}_{path.stem}".lower())[:64].strip("_"),
        about=f"The {len(streaming)} of {len(ranked)} KV heads that matter least stream; the others are dense.",
        source="DuoAttention (arXiv 2410.10819)",
        scope="kv",
        uses=((STREAMING, Use("a_shape", (("sink", sink), ("window", recent)))),) if streaming else (),
        rules=rules_for(names, None),
        sizes=sizes,
    )


def _streaming(heads: int, sparsity: float) -> int:
    """How many values lie below the `sparsity` quantile of distinct values, by linear interpolation."""
    if sparsity >= 1:
        return heads
    return max(0, math.ceil(round((heads - 1) * sparsity, 9)))


def _rows(path: Path) -> list[list[float]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise PlanTableUnreadable(path, MADE_BY, error.strerror or "the system refuses") from error
    except UnicodeDecodeError as error:
        raise PlanTableUnreadable(path, MADE_BY, "it is not text") from error
    rows = [_row(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows or len({len(row) for row in rows}) != 1:
        raise PlanTableUnreadable(path, MADE_BY, "its rows must all have as many numbers, one for each KV head")
    return rows


def _row(path: Path, number: int, line: str) -> list[float]:
    try:
        row = [float(word) for word in line.split("\t")]
    except ValueError as error:
        raise PlanTableUnreadable(path, MADE_BY, f"line {number} is not numbers with tabs between them") from error
    if not all(math.isfinite(value) for value in row):
        raise PlanTableUnreadable(path, MADE_BY, f"line {number} has a number that is not finite")
    return [min(1.0, max(0.0, value)) for value in row]
