"""How a compiled C kernel is called: tensors, lists and numbers into one `struct call`."""

from __future__ import annotations

import ctypes
import re
import struct
from pathlib import Path

import torch

from attncc.codegen.kernel import KernelSource
from attncc.lists import Given, RowLists

#: `struct call` of the generated files: five pointers, five sizes, nine strides, the number of threads; then the scale.
CALL = struct.Struct("=5Q15qd")

#: What follows it where a kernel needs more: lists, numbers of positions, numbers of heads.
MEMBER = re.compile(r"^    (?:struct list (\w+)_list|struct tokens (\w+)_tokens|const float \*(\w+)_heads);", re.M)
LIST, TOKENS, HEADS = struct.Struct("=3Q3q"), struct.Struct("=Q3q"), struct.Struct("=Q")


class Launch:
    """A loaded kernel; allocates what it returns."""

    __slots__ = ("_entry", "_members", "source")

    def __init__(self, source: KernelSource, path: Path) -> None:
        self.source = source
        self._members: list[tuple[str, str, str]] = MEMBER.findall(source.text)
        self._entry = ctypes.CDLL(str(path))[source.entry]
        self._entry.argtypes, self._entry.restype = (ctypes.c_char_p,), ctypes.c_int

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, given: Given | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(out, lse), both contiguous, as described for CompiledKernel."""
        batch, q_heads, q_len, _ = query.shape
        _, kv_heads, kv_len, _ = key.shape
        out = torch.empty_like(query, memory_format=torch.contiguous_format)
        # Of the ways to make an empty tensor, this is the quickest by a microsecond.
        lse_strides = (q_heads * q_len, q_len, 1)
        lse = torch.empty_strided((batch, q_heads, q_len), lse_strides, dtype=torch.float32, device=query.device)
        pointers = (query.data_ptr(), key.data_ptr(), value.data_ptr(), out.data_ptr(), lse.data_ptr())
        strides = (*query.stride()[:3], *key.stride()[:3], *value.stride()[:3])
        threads = torch.get_num_threads()
        call = CALL.pack(*pointers, batch, q_heads, kv_heads, q_len, kv_len, *strides, threads, scale)
        if self._members:
            assert given is not None, "the kernel needs lists or inputs, and none are given"
            more, _kept = _packed(self._members, given)
            call += more
        if self._entry(call) != 0:
            raise MemoryError("attncc: no memory for the partial results of the splits")
        return out, lse


def _packed(members: list[tuple[str, str, str]], given: Given) -> tuple[bytes, list[torch.Tensor]]:
    """The members of `struct call` behind the scale, and the tensors that must live as long as the call."""
    kept: list[torch.Tensor] = []
    packed: list[bytes] = []
    for of_rows, of_positions, of_heads in members:
        if of_rows:
            packed.append(_list(given.lists[of_rows], kept))
        elif of_positions:
            numbers = given.tokens[of_positions]
            assert numbers.dtype == torch.int32, "numbers of positions are int32"
            assert numbers.stride(-1) == 1, "numbers of positions lie in a row"
            batch, heads, _ = numbers.shape
            strides = (0 if batch == 1 else numbers.stride(0), numbers.stride(1))
            packed.append(TOKENS.pack(numbers.data_ptr(), heads, *strides))
        else:
            kept.append(given.heads[of_heads].float().contiguous())
            packed.append(HEADS.pack(kept[-1].data_ptr()))
    return b"".join(packed), kept


def _list(lists: RowLists, kept: list[torch.Tensor]) -> bytes:
    parts = [part.contiguous() for part in (lists.entries, lists.start, lists.count)]
    assert [part.dtype for part in parts] == [torch.int32, torch.int64, torch.int32], "entries, start, count"
    kept.extend(parts)
    return LIST.pack(*(part.data_ptr() for part in parts), *lists.start.shape)
