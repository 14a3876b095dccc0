"""Which heads of a KV head see the same keys, so that a decode kernel can take them through the keys together."""

from __future__ import annotations

from attncc.codegen.cpu.loops import mentioned
from attncc.codegen.cpu.needs import Needs
from attncc.ir.tile import TilePlan


def per_head(plan: TilePlan) -> bool:
    """Whether each head has keys of its own, by the plan or by a choice of its own."""
    names = {one.name for one in plan.lists}
    return "head" in mentioned(plan) or any(one.heads == "each" for one in plan.pattern.selections if one.name in names)


def shared(plan: TilePlan, needs: Needs) -> str:
    """The condition in C under which a call's lists and numbers are the same for all heads of a KV head; empty if it is
    known when the kernel is written."""
    chosen = {one.name for one in plan.pattern.selections}
    members = [f"{name}_list" for name in needs.lists if name not in chosen]
    members += [f"{name}_tokens" for name in needs.tokens]
    return " && ".join(f"call->{member}.heads <= call->kv_heads" for member in members)
