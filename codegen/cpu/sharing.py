"""Which heads of a KV head see the same keys, so that a decode kernel can take them through the keys together."""

from __future__ import annotations

from collections.abc import Sequence

from attncc.codegen.cpu.loops import mentioned
from attncc.codegen.cpu.needs import Needs
from attncc.ir.tile import TilePlan


def per_head(plan: TilePlan) -> bool:
    """Whether each head has keys of its own, by the plan or by a choice of its own."""
    names = {one.name for one in plan.lists}
    return "head" in mentioned(plan) or any(one.heads == "each" for one in plan.pattern.selections if one.name in names)


def uncertain(plan: TilePlan, needs: Needs) -> Sequence[str]:
    """The members of `struct call` which may or may not be the same for all heads of a KV head."""
    chosen = {one.name for one in plan.pattern.selections}
    lists = (f"{name}_list" for name in needs.lists if name not in chosen)
    return (*lists, *(f"{name}_tokens" for name in needs.tokens))
