"""What a kernel needs besides query, key and value: the lists and numbers of its plan, and the C that finds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from attncc.codegen.cpu.layout import INDENT, listed
from attncc.codegen.cpu.parts import part
from attncc.combines.rule import rules
from attncc.ir.expr import TRUE, Attribute, BoolExpr, Member, Position, parts
from attncc.ir.selection import Geometry
from attncc.ir.tile import TilePlan

#: Where the rows of a query tile, or the one row of a decode kernel, begin.
Q_FIRST: Mapping[str, str] = {"prefill": "q_first", "decode": "block.q"}


@dataclass(frozen=True, slots=True)
class Needs:
    """`lists` are those of the plan, `asked` those that are asked for members; `tokens` are inputs with a number for
    each position, with the positions they are asked for; `heads` inputs with a number for each query head.

    `gathered` says that a block holds the position of each of its keys, which need not have even distances.
    """

    lists: Mapping[str, Geometry]
    asked: tuple[str, ...]
    tokens: Mapping[str, tuple[Position, ...]]
    heads: tuple[str, ...]
    gathered: bool

    def __bool__(self) -> bool:
        return bool(self.lists or self.tokens or self.heads)


def needs(plan: TilePlan) -> Needs:
    """What the kernels of a plan need."""
    found = [node for condition in _conditions(plan) for node in parts(condition)]
    asked = tuple(sorted({node.name for node in found if isinstance(node, Member)}))
    places = {(node.name, node.position) for node in found if isinstance(node, Attribute)}
    tokens = {name: tuple(p for n, p in sorted(places) if n == name) for name in sorted({n for n, _ in places})}
    combine = plan.pattern.combine
    kinds = rules()[combine.rule].OPTIONS
    heads = tuple(str(value) for name, value in combine.options if kinds[name] == "head")
    picked = any(run.over is not None or run.only != TRUE for run in plan.runs())
    lists = {one.name: one.geometry for one in plan.lists}
    _assert_within(plan, lists)
    units = rules()[combine.rule].IN_C.unit is not None
    return Needs(lists, asked, tokens, heads, picked or bool(tokens) or units)


def _conditions(plan: TilePlan) -> Iterator[BoolExpr]:
    for run in plan.runs():
        yield run.only
        if run.mask is not None:
            yield run.mask


def _assert_within(plan: TilePlan, lists: Mapping[str, Geometry]) -> None:
    for name, geometry in lists.items():
        fits = geometry.grain is None or geometry.grain % plan.tiling.block_m == 0
        assert fits, f"tiles of {plan.tiling.block_m} rows straddle rows of the list {name}"


def fields(needs: Needs) -> str:
    """The members of `struct call` behind the scale, in the order in which a call fills them."""
    lines = [
        *(f"    struct list {name}_list;" for name in needs.lists),
        *(f"    struct tokens {name}_tokens;" for name in needs.tokens),
        *(f"    const float *{name}_heads; /* [q_heads] */" for name in needs.heads),
    ]
    return "".join(f"{line}\n" for line in lines)


def call(needs: Needs) -> str:
    """`struct call`, and what its members are made of."""
    before = (part("lists") + "\n" if needs.lists else "") + (part("tokens") + "\n" if needs.tokens else "")
    return before + part("call").replace("    double scale;\n", f"    double scale;\n{fields(needs)}")


def functions(needs: Needs) -> Iterator[str]:
    """What reads lists and numbers."""
    if needs.lists:
        yield part("rows")
    if needs.tokens:
        yield part("tokens_of")
    if needs.gathered:
        yield part("gather")


def block_fields(needs: Needs, phase: str) -> Iterator[str]:
    """What `struct block` holds of them."""
    if needs.gathered:
        yield f"int32_t position[BLOCK_N{' + LANES' if phase == 'decode' else ''}];"
    if needs.lists:
        rows = [f"{name}_list" for name in needs.lists] + [f"{name}_rest" for name in needs.asked]
        yield f"struct row {', '.join(rows)};"
    if needs.tokens:
        yield f"const int32_t {', '.join(f'*{name}_tokens' for name in needs.tokens)};"
    at_queries = [name for name, places in needs.tokens.items() if "q" in places]
    if at_queries and phase == "prefill":
        yield f"int32_t {', '.join(f'{name}_q[BLOCK_M]' for name in at_queries)};"


def own_rows(needs: Needs, phase: str) -> Iterator[str]:
    """Statements that find a task's own rows and numbers."""
    first = Q_FIRST[phase]
    for name, geometry in needs.lists.items():
        yield _listed(f"block.{name}_list = row_of(", f"&call->{name}_list", row_of(geometry, first))
    for name, places in needs.tokens.items():
        yield _listed(f"block.{name}_tokens = tokens_of(", f"&call->{name}_tokens")
        if "q" in places and phase == "prefill":
            yield "for (int row = 0; row < BLOCK_M; row++) {"
            yield f"    block.{name}_q[row] = block.{name}_tokens[greater(lesser({first} + row, q_last), 0)];"
            yield "}"


def _listed(opening: str, what: str, *last: str) -> str:
    return listed(opening, ("call", what, "batch", "head", *last), ");", column=INDENT)


def row_of(geometry: Geometry, first: str) -> str:
    """The row of a list that the row of queries at `first` sees."""
    if geometry.rows is None:
        return "0"
    before = "call->kv_len - call->q_len"
    if geometry.rows == 1:
        return f"{first} - ({before})"
    return f"floor_div({first}, {geometry.rows}) - floor_div({before}, {geometry.rows})"


def base(geometry: Geometry, first: str) -> str:
    """The position that the entries of a list count from."""
    return "0" if geometry.step is None else f"floor_div({first}, {geometry.step}) * {geometry.step}"


def entry(geometry: Geometry, first: str) -> str:
    """The unit of the key `kv`, as an entry of a list."""
    if geometry.step is not None:
        return f"kv - {base(geometry, first)}"
    return "kv" if geometry.size == 1 else f"kv / {geometry.size}"
