"""What a call passes to a kernel besides query, key and value: pointers and sizes of lists and inputs."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from attncc.codegen.triton.arguments import Wanted
from attncc.lists import Given, RowLists


def passed(wanted: Wanted, given: Given) -> tuple[list[Tensor], list[int]]:
    """Tensors and sizes, in the order of `Wanted.arguments`."""
    lists = [given.lists[name] for name in wanted.lists]
    tokens = [given.tokens[name] for name in wanted.tokens]
    pointers = [
        *(tensor.contiguous() for one in lists for tensor in (one.entries, one.start, one.count)),
        *tokens,
        *(given.heads[name].contiguous() for name in wanted.heads),
    ]
    sizes = [size for one in lists for size in _list_sizes(one)]
    return pointers, [*sizes, *(size for one in tokens for size in _token_sizes(one))]


def part(given: Given, batches: slice) -> Given:
    """What is given for some of the batches."""
    lists = {name: _list_part(one, batches) for name, one in given.lists.items()}
    tokens = {name: one if one.shape[0] == 1 else one[batches] for name, one in given.tokens.items()}
    return replace(given, lists=lists, tokens=tokens)


def _list_part(one: RowLists, batches: slice) -> RowLists:
    if one.start.shape[0] == 1:
        return one
    return replace(one, start=one.start[batches], count=one.count[batches])


def _list_sizes(one: RowLists) -> tuple[int, int, int]:
    batch, heads, rows = one.start.shape
    return (heads * rows if batch > 1 else 0), heads, rows


def _token_sizes(one: Tensor) -> tuple[int, int, int]:
    batch, heads, _ = one.shape
    return (one.stride(0) if batch > 1 else 0), one.stride(1), heads
