"""Times choosing and attending beside the dense kernel and FlexAttention, all calls of one shape in the same rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

import attncc
from attncc.autotune.inputs import drawn
from attncc.giving import given
from attncc.lists import Given
from attncc.pattern import Chosen
from attncc.ref import dense
from attncc.report.choices import ATTENTION, DENSE, FLEX, FLEX_FUNCTION, FLEX_LISTS, SELECTION, causal_pairs
from attncc.report.record import Choice, Clock, Timing, Workload
from bench import flex_lists
from bench.cases import Case
from bench.clock import Sampled, interleave
from bench.problem import SEED, error_of
from bench.structured import structured

#: Rows in which kept pairs are counted.
COUNTED_ROWS = 256
#: Calls of more keys than this are timed in fewer rounds.
LONG, LONG_ROUNDS = 32768, 3

Calls = Mapping[str, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Posed:
    """A case with its tensors: what it chose, and what a kernel is given for that."""

    case: Case
    pattern: attncc.Pattern
    query: Tensor
    key: Tensor
    value: Tensor
    inputs: Mapping[str, Tensor]
    chosen: Chosen
    given: Given

    def attend(self) -> Tensor:
        if self.pattern.choosing:
            out, _ = self.pattern.attend_to(self.chosen, self.query, self.key, self.value, None, self.inputs)
            return out
        return attncc.attention(self.query, self.key, self.value, self.pattern)

    def dense(self) -> object:
        return attncc.attention(self.query, self.key, self.value, "causal")

    def select(self) -> object:
        return self.pattern.select(self.query, self.key, scale=None, **self.inputs)


def measure(group: Sequence[Case], threads: int, clock: Clock, rounds: int) -> list[Choice]:
    """The choices of cases of one shape and dtype."""
    torch.set_num_threads(threads)
    if any(case.peers for case in group):
        torch.compiler.reset()
    posed = list(poses(group))
    calls: dict[str, Callable[[], object]] = {DENSE: posed[0].dense}
    errors: dict[str, float] = {}
    # Inductor writes the number of threads into the code it compiles.
    with torch._inductor.config.patch({"cpp.threads": threads}):
        for one in posed:
            for part, call in parts(one).items():
                name = f"{one.case.name} {part}"
                calls[name], out = call, call()
                if part in (ATTENTION, FLEX):
                    assert isinstance(out, Tensor), "attention returns one tensor unless asked for more"
                    errors[name] = error_of(one.pattern.bound, (one.query, one.key, one.value), out, one.given)
        posed[0].dense()
        found = interleave(calls, clock, min(rounds, LONG_ROUNDS) if group[0].shape.kv_len > LONG else rounds)
    return [_choice(one, found, errors, threads, clock) for one in posed]


def poses(group: Sequence[Case]) -> Iterator[Posed]:
    """The cases of a group, on the same query, key and value."""
    shape, dtype = group[0].shape, getattr(torch, group[0].dtype)
    query, key, value = (part.to(dtype) for part in structured(shape, torch.Generator().manual_seed(SEED)))
    for case in group:
        assert (case.shape, case.dtype) == (shape, group[0].dtype), "cases of a group are timed in the same rounds"
        pattern = attncc.Pattern.load(case.pattern, **dict(case.params))
        generator = torch.Generator().manual_seed(SEED)
        inputs = {one.name: drawn(one, shape, generator) for one in pattern.bound.inputs}
        chosen = pattern.select(query, key, scale=None, **inputs)
        held = given(pattern.bound, chosen.lists, inputs, shape.q_len, shape.kv_len)
        yield Posed(case, pattern, query, key, value, inputs, chosen, held)


def parts(posed: Posed) -> Calls:
    """What is timed of a case besides the dense kernel."""
    calls: dict[str, Callable[[], object]] = {ATTENTION: posed.attend}
    if posed.pattern.bound.selections:
        calls[SELECTION] = posed.select
    shape, bound, asked = posed.case.shape, posed.pattern.bound, posed.case.peers
    if not asked:
        return calls
    keep = flex_lists.mask_mod(bound, shape, posed.given)
    if FLEX in asked:
        blocks = flex_lists.block_mask(bound, shape, posed.given, keep)
        compiled, grouped = torch.compile(flex_attention, dynamic=False), shape.group > 1
        calls[FLEX_LISTS] = lambda: flex_lists.block_mask(bound, shape, posed.given, keep)
        calls[FLEX] = lambda: compiled(posed.query, posed.key, posed.value, block_mask=blocks, enable_gqa=grouped)
    if FLEX_FUNCTION in asked:
        create, sizes = torch.compile(create_block_mask, dynamic=False), (shape.q_heads, shape.q_len, shape.kv_len)
        calls[FLEX_FUNCTION] = lambda: create(keep, 1, *sizes, device="cpu", BLOCK_SIZE=flex_lists.BLOCK)
    return calls


def _choice(
    posed: Posed, found: Mapping[str, Sampled], errors: Mapping[str, float], threads: int, clock: Clock
) -> Choice:
    case = posed.case
    names = {DENSE: DENSE} | {name.removeprefix(f"{case.name} "): name for name in found if _belongs(name, case)}
    timings = tuple(
        Timing(case.name, part, threads, clock, True, one.micros, one.spread, one.samples, errors.get(name))
        for part, name in names.items()
        for one in (found[name],)
    )
    lists = posed.given.lists.values()
    entries = sum(int(one.count.sum()) * one.entries.element_size() for one in lists)
    return Choice(workload(posed), sum(one.nbytes() for one in lists), entries, timings)


def _belongs(name: str, case: Case) -> bool:
    return name.startswith(f"{case.name} ")


def workload(posed: Posed) -> Workload:
    """The case with its kept pairs, estimated from rows that are spread over all of them."""
    case = posed.case
    work = Workload(case.name, case.pattern, case.params, case.shape, case.dtype, 0, None)
    rows = _counted(case.shape.q_len)
    kept = dense.kept(posed.pattern.bound, posed.query.shape[:3], case.shape.kv_len, posed.given, rows)
    seen = case.shape.batch * case.shape.q_heads * int((rows + (case.shape.kv_len - case.shape.q_len + 1)).sum())
    return replace(work, kept_pairs=round(causal_pairs(work) * int(kept.sum()) / seen))


def _counted(q_len: int) -> Tensor:
    """One row of each of COUNTED_ROWS parts, anywhere in it: tiles have more pairs at one end than at the other."""
    part = max(1, q_len // COUNTED_ROWS)
    first = torch.arange(0, q_len - part + 1, part)
    return first + torch.randint(0, part, first.shape, generator=torch.Generator().manual_seed(SEED))
