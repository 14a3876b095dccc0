"""How is a table of MInference (arXiv 2407.02490) read as a plan?"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from attncc.errors import PlanTableUnreadable
from attncc.models.plan import DENSE_NAME, ModelSizes, Plan, Use
from attncc.models.plan_rules import rules_for

Entry: TypeAlias = tuple[str, int, int]

KINDS = ("vertical_and_slash", "stream_llm", "block_sparse")
#: What the source runs for a head that its table leaves out.
MISSING: Entry = ("vertical_and_slash", 1000, 6096)
MADE_BY = "MInference"


def from_minference(path: Path, sizes: ModelSizes | None = None, starting_layer: int = 0, ratio: float = 1.0) -> Plan:
    """The plan of the JSON file at `path`: for each layer a table of query heads, each with a kind and two numbers.

    It is for prefill; decode is dense. Layers before `starting_layer` are dense, and `ratio` multiplies both numbers,
    as the source's settings do. `sizes`, where they are given, make the plan one for that model only. Raises
    PlanTableUnreadable with the layer and head of the first entry that cannot be meant.
    """
    rows = _rows(path)
    heads = sizes.q_heads if sizes is not None else 1 + max((head for row in rows for head in row), default=0)
    if sizes is not None and (sizes.layers != len(rows) or any(head >= heads for row in rows for head in row)):
        found = f"it has {len(rows)} layers of {1 + max(head for row in rows for head in row)} heads"
        raise PlanTableUnreadable(path, MADE_BY, f"{found}, the model {sizes.layers} of {sizes.q_heads}")
    uses: dict[str, Use] = {}
    names = [[DENSE_NAME] * heads for _ in rows]
    for layer, row in enumerate(rows[starting_layer:], starting_layer):
        for head in range(heads):
            name, use = _use(row.get(head, MISSING), ratio)
            uses[name], names[layer][head] = use, name
    return Plan(
        name=_name(path),
        about="Patterns of query heads in prefill, from a table of MInference; decode is dense.",
        source="MInference (arXiv 2407.02490)",
        scope="q",
        uses=tuple(sorted(uses.items())),
        rules=rules_for(names, "prefill"),
        sizes=sizes,
    )


def _use(entry: Entry, ratio: float) -> tuple[str, Use]:
    kind, first, second = entry[0], int(entry[1] * ratio), int(entry[2] * ratio)
    match kind:
        case "vertical_and_slash":
            params = (("vertical", first), ("slash", second), ("minference_exact", 1))
            return f"vertical_slash_{first}_{second}", Use("vertical_slash", params)
        case "stream_llm":
            return f"a_shape_{first}_{second}", Use("a_shape", (("sink", first), ("window", max(1, second))))
        case _:
            return "block_sparse", Use("block_sparse", (("top", 100), ("minference_exact", 1)))


def _rows(path: Path) -> list[dict[int, Entry]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanTableUnreadable(path, MADE_BY, error.strerror or "the system refuses") from error
    except (ValueError, RecursionError) as error:
        raise PlanTableUnreadable(path, MADE_BY, f"it is not JSON: {error}") from error
    if not isinstance(found, list) or not found:
        raise PlanTableUnreadable(path, MADE_BY, "it is not a list with a table for each layer")
    return [_row(path, layer, row) for layer, row in enumerate(found)]


def _row(path: Path, layer: int, row: object) -> dict[int, Entry]:
    if not isinstance(row, Mapping):
        raise PlanTableUnreadable(path, MADE_BY, f"layer {layer} is not a table of heads")
    heads: dict[int, Entry] = {}
    for head, entry in row.items():
        if not re.fullmatch("[0-9]{1,4}", head, re.ASCII):
            raise PlanTableUnreadable(path, MADE_BY, f"layer {layer} has a head {head!r}; heads are numbers")
        heads[int(head)] = _entry(path, f"layer {layer}, head {head}", entry)
    return heads


def _entry(path: Path, place: str, entry: object) -> Entry:
    match entry:
        case [str(kind), int(first), int(second), *_] if kind in KINDS and min(first, second) >= 0:
            return kind, first, second
        case [str(kind), *_] if kind not in KINDS:
            unknown = f"{place} is of a kind {kind!r}, which no pattern stands for; known: {', '.join(KINDS)}"
            raise PlanTableUnreadable(path, MADE_BY, unknown)
        case _:
            raise PlanTableUnreadable(path, MADE_BY, f"{place} is not a kind and two counts")


def _name(path: Path) -> str:
    return re.sub("[^a-z0-9]+", "_", f"minference_{path.stem}".lower(), flags=re.ASCII)[:64].strip("_")
