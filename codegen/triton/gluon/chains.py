"""Runs over one list that follow each other, as steps over whole units: which have a mask, and which mask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attncc.ir.expr import TRUE, ZERO, And, BoolExpr, Compare, Int, IntExpr, Max, Or, Param, Var
from attncc.ir.fold import conjunction
from attncc.ir.tile import Body, Run

KV = Var("kv")

#: Rows of a tile in shared memory lie together by so many.
LEAST = 8

#: Keys of a step whose positions, each by itself, have room in registers.
MOST = 64


def own(run: Run) -> BoolExpr:
    """What is to be checked of a key of a run, besides the ends of the run."""
    return conjunction(run.only, TRUE if run.mask is None else run.mask)


def chain_of(body: Body, at: int) -> tuple[Run, ...]:
    """The run at `at`, which goes over a list, and those after it that go on where the one before ends, with a mask."""
    found = [body[at]]
    for node in body[at + 1 :]:
        if not _goes_on(found[-1], node):
            break
        found.append(node)
    return tuple(node for node in found if isinstance(node, Run))


def misfit(name: str, size: int, block_n: int) -> str | None:
    """Why steps cannot go over a list that names `size` keys at a time; None if they can."""
    if size == 1:
        return f"its list `{name}` names single keys, which no copy of a tile brings"
    if size % LEAST:
        return f"its list `{name}` names {size} keys at a time, no multiple of the {LEAST} that lie together"
    if size % block_n and block_n % size:
        return f"its list `{name}` names {size} keys at a time, no part and no multiple of a step of {block_n}"
    if size < block_n and block_n > MOST:
        return f"its list `{name}` names {size} keys at a time, and of {block_n} the positions would spill"
    return None


def ragged(chain: tuple[Run, ...], params: Mapping[str, int], grain: int) -> bool:
    """Whether the keys that all rows see may begin inside `grain` keys that are copied together."""
    return own(chain[0]) == TRUE and not aligned(chain[0].first, params, grain)


def aligned(key: IntExpr, params: Mapping[str, int], grain: int) -> bool:
    """Whether a key is known to be a multiple of `grain`."""
    match key:
        case Int(value):
            return value % grain == 0
        case Param(name):
            return params[name] % grain == 0
        case _:
            return False


def covered(chain: tuple[Run, ...], params: Mapping[str, int], grain: int) -> BoolExpr:
    """The mask of those steps of a chain that need one."""
    first, last = chain[0], chain[-1]
    mask = conjunction(_checked(chain), Compare("<", KV, last.stop))
    return mask if aligned(first.first, params, grain) else conjunction(Compare(">=", KV, first.first), mask)


def _checked(chain: tuple[Run, ...]) -> BoolExpr:
    """What is to be checked of a key, whichever of the runs it lies in."""
    run, *rest = chain
    if not rest:
        return own(run)
    here, beyond = own(run), _checked(tuple(rest))
    before = Compare("<", KV, run.stop)
    if here == TRUE:
        return Or(before, beyond)
    both = list(_operands(here))
    if set(both) <= set(_operands(beyond)):
        more = [one for one in _operands(beyond) if one not in both]
        return conjunction(here, Or(before, _all(more))) if more else here
    return Or(And(before, here), And(Compare(">=", KV, run.stop), beyond))


def _operands(condition: BoolExpr) -> Iterator[BoolExpr]:
    if isinstance(condition, And):
        yield from _operands(condition.left)
        yield from _operands(condition.right)
    else:
        yield condition


def _all(conditions: list[BoolExpr]) -> BoolExpr:
    total: BoolExpr = TRUE
    for condition in conditions:
        total = conjunction(total, condition)
    return total


def _goes_on(run: object, after: object) -> bool:
    match run, after:
        case (Run(), Run()) if run.over == after.over and own(after) != TRUE:
            ends = (run.stop, Max(ZERO, run.stop), Max(run.stop, ZERO))
            return after.first in (*ends, Max(run.first, run.stop), Max(run.stop, run.first))
        case _:
            return False
